//! The signed key that a real portal demands of a congratulation (`docspace-contract.md` §4).
//!
//! Made at the moment of sending, again for each attempt: a key is good for one hour.

use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{secret::Secret, user::UserId};

/// Milliseconds from 1970 to 2010-01-01T00:00:00Z, from which the portal counts.
const EPOCH_2010_MS: i64 = 1_262_304_000_000;

/// Makes the `Key` of one user.
pub fn signed_key(machine_key: &Secret, tenant: i64, user: UserId, now: Timestamp) -> String {
    key_at(machine_key, tenant, user, now.as_millisecond() - EPOCH_2010_MS)
}

fn key_at(machine_key: &Secret, tenant: i64, user: UserId, ms: i64) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{user}auth|{tenant}|"));
    // As .NET's ASCII encoding has it: every UTF-16 unit beyond ASCII is a question mark.
    for unit in machine_key.expose().encode_utf16() {
        hasher.update([u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(b'?')]);
    }
    hasher.update(ms.to_le_bytes());
    let tag: String = STANDARD.encode(hasher.finalize()).chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{ms}.{}", tag.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docspace-contract.md` §4.5, computed there twice and independently.
    #[test]
    fn the_contracts_vectors() {
        let vectors = [
            (
                "1123askdasjklasbnd",
                1,
                "66faa6e4-f133-11ea-b126-00ffeec8b4ef",
                520_000_000_000,
                "520000000000.MZKJQEFJYASP7KVHZLIC26RPQWJE7ZB24YKVO",
            ),
            (
                "1VVAepxpW8f7",
                1,
                "00000000-0000-0000-0000-000000000001",
                500_000_000_000,
                "500000000000.XR5YUHPI6M1MYNJUN3ITIQPZDKNUJQ6VY5CEGA0FP8",
            ),
            (
                "Z7kPq2_machine-KEY.42",
                307,
                "4A515A15-D4D6-4B8E-828E-E0586F18F3A3",
                519_999_999_999,
                "519999999999.XE3FBEVHZJUGU8XEY0SFQDHHVFY95SP9XDMC1VDRWS",
            ),
            (
                "clé-ключ",
                12,
                "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10",
                1,
                "1.UPCN2QO3YP904W0HGNPJHDUG23ZEHPFZNGXWPUFTJGW",
            ),
        ];
        for (machine_key, tenant, user, ms, key) in vectors {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("machinekey");
            std::fs::write(&path, format!("{machine_key}\n")).expect("written");
            let machine_key = Secret::read_machine_key(&path).expect("a key");
            assert_eq!(key_at(&machine_key, tenant, user.parse().expect("a GUID"), ms), key);
        }
    }
}
