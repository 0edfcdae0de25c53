//! Events of a run, one JSON object a line, as they happen. Stable: members are added, never changed.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};

use jiff::Timestamp;

use super::traffic::Class;

/// Something that happened.
#[derive(Debug, Clone, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The run began.
    Started {
        /// Its id.
        run: &'a str,
        /// The portal.
        portal: &'a str,
        /// Rows of the roster.
        rows: u64,
    },
    /// A row has its outcome.
    RowSettled {
        /// The row, from 1.
        row: u64,
        /// The user, where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<String>,
        /// The outcome, of a congratulation.
        #[serde(skip_serializing_if = "Option::is_none")]
        congratulation: Option<&'static str>,
        /// The outcome, of an invitation.
        #[serde(skip_serializing_if = "Option::is_none")]
        invitation: Option<&'static str>,
        /// The portal's `isActive`, where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        active: Option<bool>,
        /// Requests spent on its message.
        attempts: u32,
        /// Why.
        detail: &'a str,
        /// The stable code of why; `onboard explain` tells what it means.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
    },
    /// A limiter refused a request; nothing happened to what was asked.
    Refused {
        /// What it was about.
        class: Class,
    },
    /// The run waits.
    Waiting {
        /// For what: `window_full`, `refused`, `in_flight`, `spread`, `outage`, `activation`,
        /// `second_mails`.
        why: &'static str,
        /// For how long, as far as that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
    },
    /// The run is over.
    Finished {
        /// Its exit status.
        exit_status: u8,
        /// Requests that left.
        requests: u64,
    },
}

#[derive(serde::Serialize)]
struct Stamped<'a> {
    version: u32,
    at: Timestamp,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Where events go. What could not be written is told at the end.
#[derive(Debug)]
pub struct Events {
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl Events {
    /// Makes the file, readable by its owner only.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: BufWriter::new(options.open(path)?), failed: None })
    }

    /// Writes one.
    pub fn tell(&mut self, event: &Event<'_>, at: Timestamp) {
        let written = serde_json::to_writer(&mut self.file, &Stamped { version: 1, at, event })
            .map_err(io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    /// Hands on what is buffered, for whoever reads along.
    pub fn flush(&mut self) {
        if let Err(error) = self.file.flush() {
            self.failed.get_or_insert(error);
        }
    }

    /// Whether all of it was written.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.failed.map_or(Ok(()), Err)
    }
}
