//! A Skycoin transaction, byte for byte.
//!
//! Little-endian: u32 length of the whole, u8 type 0, 32-byte inner hash, then three lists with a u32 count each:
//! signatures (65 bytes), inputs (32-byte uxid), outputs (u8 version, 20-byte key hash, u64 droplets, u64 hours).
//! What decodes here encodes to the very same bytes, so a txid can be taken from either.

use std::collections::HashSet;
use std::sync::LazyLock;

use bitcoin::secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use millrace_model::money::{Amount, Sky};

use super::address::SkyAddress;
use super::hash::{InnerHash, Txid, UxId, sha256};

/// The longest transaction the network carries.
pub const TRANSACTION_BYTES_MAX: usize = 32 * 1024;
/// Length, type, inner hash and three counts.
const FIXED_BYTES: usize = 49;
const SIGNATURE_BYTES: usize = 65;
const INPUT_BYTES: usize = SIGNATURE_BYTES + 32;
const OUTPUT_BYTES: usize = 37;
const UNSIGNED: [u8; SIGNATURE_BYTES] = [0; SIGNATURE_BYTES];

static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Coins and coin hours given to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output {
    /// Who may spend it.
    pub address: SkyAddress,
    /// The coins, never zero.
    pub coins: Amount<Sky>,
    /// The coin hours it starts with.
    pub hours: u64,
}

/// A transaction with one signature, or a blank for one, per input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    signatures: Vec<[u8; SIGNATURE_BYTES]>,
    inputs: Vec<UxId>,
    outputs: Vec<Output>,
}

/// Why bytes are not a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Not hexadecimal.
    #[error("the transaction is not hexadecimal")]
    Hex,
    /// Above [`TRANSACTION_BYTES_MAX`].
    #[error("the transaction is longer than {TRANSACTION_BYTES_MAX} bytes")]
    TooLong,
    /// The lists do not fill exactly the bytes there are, or the length written in front is another.
    #[error("the transaction's length does not fit its parts")]
    Length,
    /// A type of transaction that does not exist.
    #[error("the transaction has type {0}, only 0 exists")]
    Type(u8),
    /// The inner hash written in front is not that of the inputs and outputs.
    #[error("the transaction's inner hash is not that of its inputs and outputs")]
    InnerHash,
    /// Not one signature per input.
    #[error("the transaction has {signatures} signatures for {inputs} inputs")]
    Signatures {
        /// How many signatures there are.
        signatures: usize,
        /// How many inputs there are.
        inputs: usize,
    },
    /// Spends nothing or pays nobody.
    #[error("the transaction has no inputs or no outputs")]
    Empty,
    /// The same input twice.
    #[error("the transaction spends an input twice")]
    DuplicateInput,
    /// The same address, coins and hours twice: both outputs would have the same name.
    #[error("the transaction has two equal outputs")]
    DuplicateOutput,
    /// An address version that does not exist.
    #[error("output {0} has an unknown address version")]
    OutputVersion(usize),
    /// No coins, or more than there can be.
    #[error("output {0} has no coins, or more than there are")]
    OutputCoins(usize),
}

/// Why an input's signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The input is still to be signed.
    #[error("input {0} is not signed")]
    Missing(usize),
    /// No key could have made this signature, or it is written in the form anybody may change.
    #[error("the signature of input {0} is not valid")]
    Invalid(usize),
}

impl Transaction {
    /// A transaction still to be signed.
    pub fn unsigned(inputs: Vec<UxId>, outputs: Vec<Output>) -> Result<Self, TransactionError> {
        let transaction = Self { signatures: vec![UNSIGNED; inputs.len()], inputs, outputs };
        transaction.check()?;
        Ok(transaction)
    }

    /// Reads a transaction; every byte must have its place.
    pub fn decode(bytes: &[u8]) -> Result<Self, TransactionError> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(TransactionError::TooLong);
        }
        let mut reader = Reader(bytes);
        if reader.u32()? as usize != bytes.len() {
            return Err(TransactionError::Length);
        }
        match reader.array::<1>()?[0] {
            0 => (),
            other => return Err(TransactionError::Type(other)),
        }
        let inner_hash = InnerHash(reader.array()?);
        let signatures = reader.list(SIGNATURE_BYTES, |reader, _| reader.array())?;
        let inputs = reader.list(32, |reader, _| reader.array().map(UxId))?;
        let outputs = reader.list(OUTPUT_BYTES, Reader::output)?;
        if !reader.0.is_empty() {
            return Err(TransactionError::Length);
        }
        let transaction = Self { signatures, inputs, outputs };
        transaction.check()?;
        if transaction.inner_hash() == inner_hash { Ok(transaction) } else { Err(TransactionError::InnerHash) }
    }

    /// Reads a transaction from hexadecimal text, as the node's REST interface carries it.
    pub fn from_hex(text: &str) -> Result<Self, TransactionError> {
        if text.len() > 2 * TRANSACTION_BYTES_MAX {
            return Err(TransactionError::TooLong);
        }
        Self::decode(&hex::decode(text).map_err(|_| TransactionError::Hex)?)
    }

    fn check(&self) -> Result<(), TransactionError> {
        let (signatures, inputs) = (self.signatures.len(), self.inputs.len());
        if self.byte_count() > TRANSACTION_BYTES_MAX {
            return Err(TransactionError::TooLong);
        }
        if signatures != inputs {
            return Err(TransactionError::Signatures { signatures, inputs });
        }
        if self.inputs.is_empty() || self.outputs.is_empty() {
            return Err(TransactionError::Empty);
        }
        if self.inputs.iter().collect::<HashSet<_>>().len() != inputs {
            return Err(TransactionError::DuplicateInput);
        }
        if self.outputs.iter().collect::<HashSet<_>>().len() != self.outputs.len() {
            return Err(TransactionError::DuplicateOutput);
        }
        match self.outputs.iter().position(|output| output.coins.is_zero()) {
            Some(index) => Err(TransactionError::OutputCoins(index)),
            None => Ok(()),
        }
    }

    /// How long the encoded transaction is, in bytes.
    pub fn byte_count(&self) -> usize {
        FIXED_BYTES + INPUT_BYTES * self.inputs.len() + OUTPUT_BYTES * self.outputs.len()
    }

    /// The bytes that go over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.byte_count());
        put_u32(&mut bytes, self.byte_count());
        bytes.push(0);
        bytes.extend(self.inner_hash().0);
        put_u32(&mut bytes, self.signatures.len());
        self.signatures.iter().for_each(|signature| bytes.extend(signature));
        self.encode_inner(&mut bytes);
        bytes
    }

    /// The bytes that go over the wire, in hexadecimal.
    pub fn to_hex(&self) -> String {
        hex::encode(self.encode())
    }

    fn encode_inner(&self, bytes: &mut Vec<u8>) {
        put_u32(bytes, self.inputs.len());
        self.inputs.iter().for_each(|input| bytes.extend(input.0));
        put_u32(bytes, self.outputs.len());
        for output in &self.outputs {
            bytes.push(0);
            bytes.extend(output.address.key_hash());
            bytes.extend(output.coins.units().to_le_bytes());
            bytes.extend(output.hours.to_le_bytes());
        }
    }

    /// The outputs spent.
    pub fn inputs(&self) -> &[UxId] {
        &self.inputs
    }

    /// The outputs made.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The signatures, one per input; 65 zeros where one is missing.
    pub fn signatures(&self) -> &[[u8; SIGNATURE_BYTES]] {
        &self.signatures
    }

    /// The hash that names inputs and outputs, signed or not.
    pub fn inner_hash(&self) -> InnerHash {
        let mut bytes = Vec::with_capacity(self.byte_count());
        self.encode_inner(&mut bytes);
        InnerHash(sha256(&[&bytes]))
    }

    /// The transaction's name; changes with every signature.
    pub fn txid(&self) -> Txid {
        Txid(sha256(&[&self.encode()]))
    }

    /// The names of the outputs, in their order. They are final only once everything is signed.
    pub fn uxids(&self) -> Vec<UxId> {
        let txid = self.txid();
        self.outputs.iter().map(|output| output.uxid(&txid)).collect()
    }

    /// What the signature of this input signs.
    ///
    /// # Panics
    /// When there is no such input.
    pub fn signing_digest(&self, input: usize) -> [u8; 32] {
        sha256(&[&self.inner_hash().0, &self.inputs[input].0])
    }

    /// Puts the signature of `key` to an input; deterministic (RFC 6979).
    ///
    /// # Panics
    /// When there is no such input.
    pub fn sign(&mut self, input: usize, key: &SecretKey) {
        let message = Message::from_digest(self.signing_digest(input));
        let (recovery, compact) = SECP.sign_ecdsa_recoverable(&message, key).serialize_compact();
        let signature = &mut self.signatures[input];
        signature[..64].copy_from_slice(&compact);
        signature[64] = u8::try_from(recovery.to_i32()).expect("a recovery id is 0 to 3");
    }

    /// Whether every input carries a signature; whether they are right is for [`Transaction::signers`] to say.
    pub fn is_signed(&self) -> bool {
        !self.signatures.contains(&UNSIGNED)
    }

    /// The address of the key that signed each input. The transaction may spend only outputs of exactly these.
    pub fn signers(&self) -> Result<Vec<SkyAddress>, SignatureError> {
        (0..self.inputs.len()).map(|input| self.signer(input)).collect()
    }

    fn signer(&self, input: usize) -> Result<SkyAddress, SignatureError> {
        let signature = &self.signatures[input];
        if *signature == UNSIGNED {
            return Err(SignatureError::Missing(input));
        }
        let (compact, recovery) = signature.split_at(64);
        let recover = || {
            let recovery = RecoveryId::from_i32(i32::from(recovery[0]))?;
            let signature = RecoverableSignature::from_compact(compact, recovery)?;
            // Of the two forms every signature has, only the lower is accepted: else anybody could change the txid.
            let mut lower = signature.to_standard();
            lower.normalize_s();
            if lower != signature.to_standard() {
                return Err(bitcoin::secp256k1::Error::InvalidSignature);
            }
            SECP.recover_ecdsa(&Message::from_digest(self.signing_digest(input)), &signature)
        };
        recover().map(|key| SkyAddress::from_public_key(&key)).map_err(|_| SignatureError::Invalid(input))
    }
}

impl Output {
    /// The name this output has when the transaction `txid` makes it.
    pub fn uxid(&self, txid: &Txid) -> UxId {
        let (coins, hours) = (self.coins.units().to_le_bytes(), self.hours.to_le_bytes());
        UxId(sha256(&[&txid.0, &[0], self.address.key_hash(), &coins, &hours]))
    }
}

fn put_u32(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("a transaction is checked to be short");
    bytes.extend(number.to_le_bytes());
}

/// The bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], TransactionError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(TransactionError::Length)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u32(&mut self) -> Result<u32, TransactionError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A list whose count is believed only when the bytes for it are there.
    fn list<T>(
        &mut self,
        item_bytes: usize,
        item: impl Fn(&mut Self, usize) -> Result<T, TransactionError>,
    ) -> Result<Vec<T>, TransactionError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / item_bytes {
            return Err(TransactionError::Length);
        }
        (0..count).map(|index| item(self, index)).collect()
    }

    fn output(&mut self, index: usize) -> Result<Output, TransactionError> {
        if self.array::<1>()? != [0] {
            return Err(TransactionError::OutputVersion(index));
        }
        let address = SkyAddress::from_key_hash(self.array()?);
        let coins = Amount::from_units(u64::from_le_bytes(self.array()?));
        let coins = coins.ok_or(TransactionError::OutputCoins(index))?;
        Ok(Output { address, coins, hours: u64::from_le_bytes(self.array()?) })
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
