//! What makes one sandbox different from another: the seed of its keys and the passwords of its servers.
//!
//! Play money, but still nobody else's: the file is the owner's alone, and every sandbox has its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bitcoin::Network;
use bitcoin::bip32::{DerivationPath, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FILE: &str = "secrets.json";
/// The first account of a segwit wallet (BIP84) on a test network.
const ACCOUNT_PATH: &str = "84h/1h/0h";

/// The secrets of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// What keys and chance derive from.
    pub seed: String,
    /// The Bitcoin node's RPC user.
    pub bitcoin_user: String,
    /// The Bitcoin node's RPC password.
    pub bitcoin_password: String,
    /// The exchange account's key.
    pub c2cx_key: String,
    /// The exchange account's secret.
    pub c2cx_secret: String,
}

impl Secrets {
    /// The secrets in the folder; new ones when there are none.
    pub fn load_or_create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secrets = Self::random();
                write_private(&path, &serde_json::to_vec_pretty(&secrets)?)?;
                Ok(secrets)
            }
            Err(error) => Err(error),
        }
    }

    fn random() -> Self {
        let word = || hex::encode(rand::random::<[u8; 16]>());
        Self {
            seed: word(),
            bitcoin_user: "millrace".to_owned(),
            bitcoin_password: word(),
            c2cx_key: word(),
            c2cx_secret: word(),
        }
    }

    /// The account key that the desk derives its deposit addresses from, watch-only.
    pub fn xpub(&self) -> Xpub {
        let secp = Secp256k1::new();
        let digest = Sha256::digest(format!("{} desk deposits", self.seed));
        let path: DerivationPath = ACCOUNT_PATH.parse().expect("the account path is a path");
        let master = Xpriv::new_master(Network::Regtest, &digest).expect("a hash is a seed");
        Xpub::from_priv(&secp, &master.derive_priv(&secp, &path).expect("short paths can be derived"))
    }

    /// A number for chance, another one for each purpose.
    pub fn seed_for(&self, purpose: &str) -> u64 {
        let digest = Sha256::digest(format!("{} {purpose}", self.seed));
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has more than 8 bytes"))
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    // A leftover of a crash may have other rights.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => (),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secrets_stay_and_are_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::load_or_create(folder.path()).unwrap();
        assert_eq!(Secrets::load_or_create(folder.path()).unwrap(), first);
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Secrets::load_or_create(other.path()).unwrap(), first);
    }

    #[test]
    fn the_account_key_is_a_test_networks() {
        let secrets = Secrets { seed: "s".to_owned(), ..Secrets::random() };
        assert!(secrets.xpub().to_string().starts_with("tpub"));
        assert_eq!(secrets.xpub().depth, 3);
        assert_ne!(secrets.seed_for("a"), secrets.seed_for("b"));
    }
}
