//! Text that leaves by a thread of its own, so that whatever reads it can be slow, full, broken or gone, and the run
//! goes on: a loop that waits for a pager lets requests in flight run out of time.
//!
//! What waits to be written is bounded. Where the reader does not keep up, whoever writes waits for it a moment, then
//! text is left out, and it is said how much. Nothing here returns an error: there is nobody who could act upon it.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, ErrorKind, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// So much text of a log may wait, in bytes.
const ROOM: usize = 1 << 20;
/// So much of what people should not miss.
const ROOM_FOR_LINES: usize = 2 * ROOM;
/// For so long, all in all, whoever writes waits for a reader that does not keep up, until it has caught up.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the end waits for a reader that takes nothing at all.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(5);
/// How soon an output that takes nothing at the moment, and says so, is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// How much a text matters where the reader does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// One of many: left out first, and not waited for.
    Log,
    /// Meant for a person now: waited for a moment, and left out last.
    Line,
}

/// Where text goes.
#[derive(Clone)]
pub(super) struct Outlet {
    shared: Arc<Shared>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    waiting: VecDeque<Vec<u8>>,
    /// Bytes that wait, those that are being written included.
    bytes: usize,
    /// Counts up with whatever the output took.
    taken: u64,
    /// What is left of the patience.
    patience: Duration,
    left_out: u64,
    failed: Option<io::Error>,
    /// Until the first text there is no thread, and the output lies here.
    output: Option<Box<dyn Write + Send>>,
}

impl Outlet {
    /// Writes to this output. Its thread starts with the first text.
    pub(super) fn new(output: impl Write + Send + 'static) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            taken: 0,
            patience: PATIENCE,
            left_out: 0,
            failed: None,
            output: Some(Box::new(output)),
        };
        Self { shared: Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() }) }
    }

    /// Writes a text, or leaves it out where too much waits already.
    pub(super) fn write(&self, text: &[u8], weight: Weight) {
        let room = match weight {
            Weight::Log => ROOM,
            Weight::Line => ROOM_FOR_LINES,
        };
        let mut queue = self.lock();
        while !queue.has_room(text.len(), room) && !queue.patience.is_zero() {
            queue = self.wait(queue);
        }
        if !queue.has_room(text.len(), room) {
            queue.left_out += 1;
            return;
        }
        if let Some(remark) = queue.remark() {
            queue.put(remark.into_bytes());
        }
        queue.put(text.to_owned());
        if let Some(output) = queue.output.take() {
            let shared = Arc::clone(&self.shared);
            let started = thread::Builder::new().name("outlet".to_owned()).spawn(move || shared.serve(output));
            if started.is_err() {
                // Without a thread nothing can be said, which is no reason to do nothing else.
                queue.patience = Duration::ZERO;
            }
        }
        self.shared.changed.notify_all();
        if weight == Weight::Line {
            while queue.bytes > 0 && !queue.patience.is_zero() {
                queue = self.wait(queue);
            }
        }
    }

    /// Whether text waits to be written: then what is only a picture of now is better left for later.
    pub(super) fn is_behind(&self) -> bool {
        self.lock().bytes > 0
    }

    /// Waits until everything is written, unless the reader takes nothing for a while. Returns why something could not
    /// be written, if something could not.
    pub(super) fn close(&self) -> Option<io::Error> {
        let mut queue = self.lock();
        if let Some(remark) = queue.remark() {
            queue.put(remark.into_bytes());
            self.shared.changed.notify_all();
        }
        let mut taken = queue.taken;
        queue.patience = PATIENCE_AT_THE_END;
        while queue.bytes > 0 && !queue.patience.is_zero() {
            queue = self.wait(queue);
            if queue.taken != taken {
                taken = queue.taken;
                queue.patience = PATIENCE_AT_THE_END;
            }
        }
        queue.failed.take()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared.lock()
    }

    /// Waits for a change, at most as long as there is patience, and takes what was waited from it.
    #[expect(clippy::disallowed_methods, reason = "how long a reader was waited for is no business of the run's clock")]
    fn wait<'q>(&'q self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        let (began, patience) = (Instant::now(), queue.patience);
        let waited = self.shared.changed.wait_timeout(queue, patience);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // Who has caught up in the meantime is trusted anew.
        if queue.bytes > 0 {
            queue.patience = queue.patience.saturating_sub(began.elapsed());
        }
        queue
    }
}

impl Queue {
    fn has_room(&self, more: usize, room: usize) -> bool {
        self.bytes == 0 || self.bytes + more <= room
    }

    fn put(&mut self, text: Vec<u8>) {
        self.bytes += text.len();
        self.waiting.push_back(text);
    }

    /// What is said of texts that were left out.
    fn remark(&mut self) -> Option<String> {
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| format!("({left_out} messages left out here: whatever reads them did not keep up)\n"))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nobody panics with it; and if so, the texts are still texts.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: ends with the process.
    fn serve(&self, mut output: Box<dyn Write + Send>) {
        loop {
            let mut queue = self.lock();
            let text = loop {
                match queue.waiting.pop_front() {
                    Some(text) => break text,
                    None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(queue);
            self.put_out(&text, &mut *output);
        }
    }

    fn put_out(&self, text: &[u8], output: &mut dyn Write) {
        let mut rest = text;
        let mut error = None;
        while !rest.is_empty() {
            match output.write(rest) {
                Ok(0) => error = Some(ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    rest = rest.get(taken..).unwrap_or_default();
                    self.took(taken, None);
                }
                Err(failed) if failed.kind() == ErrorKind::Interrupted => {}
                // Somebody else has set the terminal or pipe that we share to never let anybody wait.
                Err(failed) if failed.kind() == ErrorKind::WouldBlock => pause(),
                Err(failed) => error = Some(failed),
            }
            if error.is_some() {
                // The next text may fare better: a disk that was full has room again.
                self.took(rest.len(), error.take());
                return;
            }
        }
        if let Err(error) = output.flush() {
            self.took(0, Some(error));
        }
    }

    fn took(&self, bytes: usize, error: Option<io::Error>) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        queue.taken = queue.taken.wrapping_add(1);
        if queue.bytes == 0 {
            queue.patience = PATIENCE;
        }
        if queue.failed.is_none() {
            queue.failed = error;
        }
        self.changed.notify_all();
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, which nobody waits for longer than patience lasts")]
fn pause() {
    thread::sleep(TRY_AGAIN);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a write whenever it is let, and hands on what it took; whoever lets go of the gate lets it take all.
    struct Gated {
        gate: mpsc::Receiver<()>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gated {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _open = self.gate.recv();
            let _gone = self.taken.send(text.to_owned());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Outlet, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
        let ((open, gate), (taken, seen)) = (mpsc::channel(), mpsc::channel());
        (Outlet::new(Gated { gate, taken }), open, seen)
    }

    #[test]
    fn a_reader_that_takes_nothing_stops_nobody_and_is_told_what_it_missed() {
        let (outlet, open, seen) = gated();
        let text = vec![b'x'; 1000];
        for _ in 0..3000 {
            outlet.write(&text, Weight::Log);
        }
        outlet.write(b"for a person\n", Weight::Line);
        assert!(outlet.is_behind());
        drop(open);
        assert!(outlet.close().is_none());
        let all: Vec<u8> = seen.try_iter().flatten().collect();
        let all = String::from_utf8(all).expect("text");
        assert_eq!(all.matches('x').count(), 1000 * (ROOM / 1000), "what there was room for");
        let end = format!("({} messages left out here: whatever reads them did not keep up)\n", 3000 - ROOM / 1000);
        assert!(all.ends_with(&format!("{end}for a person\n")), "{}", &all[all.len() - 200..]);
    }

    #[test]
    fn an_output_that_fails_is_tried_again_with_the_next_text() {
        /// Fails once, then says that it cannot take anything just now, then takes byte by byte.
        struct Moody(u32, mpsc::Sender<u8>);
        impl Write for Moody {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(ErrorKind::BrokenPipe.into()),
                    2 => Err(ErrorKind::WouldBlock.into()),
                    _ => {
                        let _gone = self.1.send(text[0]);
                        Ok(1)
                    }
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (taken, seen) = mpsc::channel();
        let outlet = Outlet::new(Moody(0, taken));
        outlet.write(b"lost", Weight::Line);
        outlet.write(b"kept", Weight::Line);
        assert_eq!(outlet.close().map(|error| error.kind()), Some(ErrorKind::BrokenPipe));
        assert_eq!(seen.try_iter().collect::<Vec<u8>>(), b"kept");
    }
}
