//! What a server's refusal means: pure.

use std::error::Error as _;

use tokio_postgres::error::DbError;

use super::promises::{GRANTS, NO_TABLE};
use crate::{
    display::Shown,
    ledger::store::StoreFault::{self, Passing, Unusable},
    trust,
};

/// From the library's error to ours. `user` is taken out of what the server says.
pub(super) fn fault(error: &tokio_postgres::Error, user: &str) -> StoreFault {
    if let Some(answer) = error.as_db_error() {
        return answered(answer, user);
    }
    if let Some(certificate) = trust::certificate_error(error) {
        return Unusable(format!("no encrypted connection: {}", trust::told(certificate, "sslrootcert=FILE (PEM)")));
    }
    let text = error.to_string();
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    match text.as_str() {
        "error performing TLS handshake" if cause.contains("server does not support TLS") => Unusable(
            "the server does not encrypt: turn TLS on there (ssl = on), since the log and the password go over the network"
                .to_owned(),
        ),
        "error performing TLS handshake" => Passing(match trust::handshake(error) {
            Some(why) => format!("no encrypted connection: {why}"),
            None => format!("no encrypted connection{}", Shown(&cause)),
        }),
        "invalid configuration" if cause.contains("password") => Unusable(
            "the server wants a password, and none is to be found in ONBOARD_LEDGER_PASSWORD_FILE, PGPASSWORD, PGPASSFILE or \
             ~/.pgpass"
                .to_owned(),
        ),
        "authentication error" => {
            Unusable(format!("the server wants to know who asks in a way that onboard does not know{}", Shown(&cause)))
        }
        _ => Passing(format!("the connection broke ({}{})", Shown(&text), Shown(&cause))),
    }
}

fn answered(answer: &DbError, user: &str) -> StoreFault {
    let code = answer.code().code();
    judged(code, &answer.message().replace(&format!("\"{user}\""), "this user"))
}

/// By the SQLSTATE; of `PgBouncer`, which has one for all, by the words.
fn judged(code: &str, message: &str) -> StoreFault {
    let said = Shown(message);
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match code {
        "28P01" => Unusable(WRONG_PASSWORD.to_owned()),
        "08P01"
            if has(&[
                "password authentication failed",
                "SASL authentication failed",
                "no such user",
                "auth failed",
            ]) =>
        {
            Unusable(WRONG_PASSWORD.to_owned())
        }
        "28000" if has(&["no encryption", "SSL off"]) => {
            Unusable(format!("the server lets nobody in without TLS: say sslmode=verify-full ({said})"))
        }
        "28000" => {
            Unusable(format!("the server does not let this user in from here ({said}): look at its pg_hba.conf"))
        }
        "3D000" => Unusable(format!("there is no such database on the server ({said})")),
        "08P01" if has(&["no such database"]) => Unusable(format!("there is no such database on the server ({said})")),
        "42P01" | "3F000" => Unusable(NO_TABLE.to_owned()),
        "42501" => Unusable(format!("a right is missing ({said}): {GRANTS}")),
        "42703" | "42P10" | "42804" => {
            Unusable(format!("the table onboard.log is not as `onboard ledger init` makes it ({said})"))
        }
        "25006" => Unusable(
            "the server takes no writes: it is a replica, or default_transaction_read_only is on; name the primary"
                .to_owned(),
        ),
        // Another try may work: a connection, resources, somebody's intervention, a deadlock, the server's disk, a proxy.
        _ if ["08", "53", "57", "58", "40", "55", "XX"].iter().any(|class| code.starts_with(class)) => {
            Passing(format!("the server says: {said} (SQLSTATE {code})"))
        }
        _ => Unusable(format!("the server says: {said} (SQLSTATE {code})")),
    }
}

const WRONG_PASSWORD: &str = "the server knows no such user, or the password is wrong: look at what ONBOARD_LEDGER_PASSWORD_FILE, \
                              PGPASSWORD, PGPASSFILE or ~/.pgpass say, in this order";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_must_mend_is_told_from_what_passes() {
        for (code, message) in [
            ("57P01", "terminating connection due to administrator command"),
            ("57P03", "the database system is starting up"),
            ("53300", "sorry, too many clients already"),
            ("53100", "could not extend file"),
            ("57014", "canceling statement due to statement timeout"),
            ("40001", "could not serialize access"),
            ("40P01", "deadlock detected"),
            ("08P01", "query_wait_timeout"),
            ("08P01", "pgbouncer cannot connect to server"),
        ] {
            let told = judged(code, message);
            assert!(matches!(&told, Passing(text) if text.contains(message)), "{told}");
        }
        for (code, message, word) in [
            ("28P01", "password authentication failed", "password is wrong"),
            ("08P01", "no such user", "password is wrong"),
            ("28000", "no pg_hba.conf entry for host, no encryption", "sslmode=verify-full"),
            ("28000", "role does not exist", "pg_hba.conf"),
            ("3D000", "database \"x\" does not exist", "no such database"),
            ("08P01", "no such database: x", "no such database"),
            ("42P01", "relation does not exist", "ledger init"),
            ("42501", "permission denied for table log", "UPDATE (sha)"),
            ("42P10", "no unique constraint", "not as"),
            ("25006", "cannot execute INSERT in a read-only transaction", "replica"),
            ("42601", "syntax error", "syntax error"),
        ] {
            let told = judged(code, message);
            assert!(matches!(&told, Unusable(text) if text.contains(word)), "{told}");
        }
    }
}
