//! What a server promises of what it acknowledges, and what a user may: pure.

/// What an owner grants to whoever runs.
pub const GRANTS: &str =
    "GRANT USAGE ON SCHEMA onboard TO ROLE; GRANT INSERT, SELECT, UPDATE (sha) ON onboard.log TO ROLE;";

/// What is told where nobody has made the table.
pub(super) const NO_TABLE: &str = "there is no table onboard.log in this database: whoever may create one there runs `onboard \
                                   ledger init` once";

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promises {
    /// Its version.
    pub version: String,
    /// Whether what is written reaches the disk.
    pub fsync: String,
    /// Whether an answer waits for that.
    pub synchronous_commit: String,
    /// Who must have it, too, before it is acknowledged.
    pub synchronous_standby_names: String,
    /// Whether a torn page is mended after a crash.
    pub full_page_writes: String,
    /// Whether it is a replica.
    pub is_in_recovery: bool,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// Whether there is a table for logs.
    pub has_table: bool,
    /// Whether a crash empties that.
    pub is_unlogged: bool,
    /// Rights that a run needs and this user lacks.
    pub missing: Vec<&'static str>,
}

impl Promises {
    /// What makes it unfit for a run, and what to do.
    pub fn lacks(&self) -> Option<String> {
        let not_durable = |name: &str, value: &str| {
            Some(format!(
                "the server says {name} = {value}: what it acknowledges may be lost in a crash, and then somebody gets a \
                 second message; an administrator must set {name} = on (for this role, where it was set for it)"
            ))
        };
        if self.is_in_recovery {
            return Some(
                "the server is a replica (pg_is_in_recovery) and takes no writes; name the primary".to_owned(),
            );
        }
        if self.fsync != "on" {
            return not_durable("fsync", &self.fsync);
        }
        if matches!(self.synchronous_commit.as_str(), "off" | "local") {
            return not_durable("synchronous_commit", &self.synchronous_commit);
        }
        if !self.has_table {
            return Some(NO_TABLE.to_owned());
        }
        if self.is_unlogged {
            return Some(
                "the table onboard.log is unlogged or temporary, so that a crash empties it: ALTER TABLE onboard.log SET LOGGED"
                    .to_owned(),
            );
        }
        let missing = (!self.missing.is_empty()).then(|| self.missing.join(", "));
        missing.map(|missing| format!("this user lacks {missing}: {GRANTS}"))
    }

    /// For whoever looks, in one line.
    pub fn told(&self) -> String {
        let standby = match self.synchronous_standby_names.as_str() {
            "" => "acknowledges what it has on its own disk; a failover to a standby may lose that".to_owned(),
            names => format!("acknowledges what its standbys have, too (synchronous_standby_names = {names})"),
        };
        format!(
            "PostgreSQL {}, {}, fsync {}, synchronous_commit {}, full_page_writes {}, {}; {standby}",
            self.version,
            if self.is_in_recovery { "a replica" } else { "no replica" },
            self.fsync,
            self.synchronous_commit,
            self.full_page_writes,
            if self.is_encrypted { "encrypted" } else { "not encrypted, on this machine" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_lose_an_acknowledged_append_is_named() {
        let good = Promises {
            version: "15.1".to_owned(),
            fsync: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            synchronous_standby_names: String::new(),
            full_page_writes: "on".to_owned(),
            is_in_recovery: false,
            is_encrypted: true,
            has_table: true,
            is_unlogged: false,
            missing: Vec::new(),
        };
        assert_eq!(good.lacks(), None);
        for commit in ["remote_write", "remote_apply"] {
            assert_eq!(Promises { synchronous_commit: commit.to_owned(), ..good.clone() }.lacks(), None);
        }
        for (bad, word) in [
            (Promises { fsync: "off".to_owned(), ..good.clone() }, "fsync = off"),
            (Promises { synchronous_commit: "off".to_owned(), ..good.clone() }, "synchronous_commit = off"),
            (Promises { synchronous_commit: "local".to_owned(), ..good.clone() }, "synchronous_commit = local"),
            (Promises { is_in_recovery: true, ..good.clone() }, "replica"),
            (Promises { has_table: false, ..good.clone() }, "ledger init"),
            (Promises { is_unlogged: true, ..good.clone() }, "unlogged"),
            (Promises { missing: vec!["INSERT on onboard.log"], ..good.clone() }, "lacks INSERT on onboard.log"),
        ] {
            let told = bad.lacks().expect("refused");
            assert!(told.contains(word), "{told}");
        }
    }
}
