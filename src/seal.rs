//! Where a ledger stands, to be kept elsewhere.

/// Where a ledger stands: what `--ledger-seal` and `ledger verify --expect` compare.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Seal {
    /// The ledger's id.
    pub id: String,
    /// Of a file: how many runs ended. Elsewhere: the number of the log's last object.
    pub number: u64,
    /// The hash of that end and of all before it, in hex.
    pub hash: String,
}
