//! The sandbox customer's wallet: one key, known to everybody, the coins on it, and payments signed with it.

use std::collections::{BTreeSet, HashMap};

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{All, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    Address, Amount, CompressedPublicKey, Network, OutPoint, Script, ScriptBuf, Sequence, Transaction, TxIn, TxOut,
    Witness, ecdsa, transaction,
};

/// Satoshis per virtual byte that the customer pays.
const FEE_RATE: u64 = 2;

/// The longest witness of one input: count, signature of 72 bytes and key of 33, each with its length.
const WITNESS_BYTES: u64 = 1 + 1 + 72 + 1 + 33;

/// How safe it is to spend a coin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In the chain, and mature.
    Confirmed,
    /// Change of a payment that waits: spending it ties the two together.
    Unconfirmed,
}

/// The key, and the coins that can be spent with it.
#[derive(Debug)]
pub struct Wallet {
    curve: Secp256k1<All>,
    secret: SecretKey,
    key: CompressedPublicKey,
    script: ScriptBuf,
    coins: HashMap<OutPoint, (Standing, Amount)>,
    confirmed: BTreeSet<(Amount, OutPoint)>,
    unconfirmed: BTreeSet<(Amount, OutPoint)>,
}

impl Wallet {
    /// The customer's wallet, still empty.
    pub fn new() -> Self {
        let curve = Secp256k1::new();
        let seed = sha256::Hash::hash(b"the customer of the Millrace sandbox");
        let secret = SecretKey::from_slice(seed.as_byte_array()).expect("this hash is a valid key");
        let key = CompressedPublicKey(secret.public_key(&curve));
        let script = ScriptBuf::new_p2wpkh(&key.wpubkey_hash());
        let (coins, confirmed, unconfirmed) = Default::default();
        Self { curve, secret, key, script, coins, confirmed, unconfirmed }
    }

    /// Where the customer gets rewards and change.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The same as an address.
    pub fn address(&self) -> Address {
        Address::p2wpkh(&self.key, Network::Regtest)
    }

    /// What could be spent now, unconfirmed change included.
    pub fn balance(&self) -> Amount {
        self.coins.values().map(|(_, value)| *value).sum()
    }

    /// The confirmed coins, smallest first.
    pub fn confirmed(&self) -> impl Iterator<Item = (Amount, OutPoint)> {
        self.confirmed.iter().copied()
    }

    /// Forgets every coin.
    pub fn clear(&mut self) {
        self.coins.clear();
        self.confirmed.clear();
        self.unconfirmed.clear();
    }

    /// Notes how a coin stands now; none when it cannot be spent (any more, or yet).
    pub fn note(&mut self, outpoint: OutPoint, standing: Option<(Standing, Amount)>) {
        if let Some((before, value)) = self.coins.remove(&outpoint) {
            self.shelf(before).remove(&(value, outpoint));
        }
        if let Some((now, value)) = standing {
            self.coins.insert(outpoint, (now, value));
            self.shelf(now).insert((value, outpoint));
        }
    }

    fn shelf(&mut self, standing: Standing) -> &mut BTreeSet<(Amount, OutPoint)> {
        match standing {
            Standing::Confirmed => &mut self.confirmed,
            Standing::Unconfirmed => &mut self.unconfirmed,
        }
    }

    /// A signed payment of these outputs, with the change as last output; none when there is not enough money.
    pub fn pay(&self, outputs: Vec<TxOut>) -> Option<Transaction> {
        let paid: u64 = outputs.iter().fold(0, |sum, output| sum.saturating_add(output.value.to_sat()));
        let fee_for = |inputs: u64| FEE_RATE * vsize(inputs, outputs.iter().chain([&self.change(Amount::ZERO)]));
        let coins = self.select(|inputs| paid.saturating_add(fee_for(inputs)))?;
        let taken: u64 = coins.iter().map(|(value, _)| value.to_sat()).sum();
        let change = self.change(Amount::from_sat(taken - paid - fee_for(coins.len() as u64)));
        let mut outputs = outputs;
        if change.value >= change.script_pubkey.minimal_non_dust() {
            outputs.push(change);
        }
        Some(self.spend(&coins, Sequence::ENABLE_RBF_NO_LOCKTIME, outputs))
    }

    /// An output back to the customer.
    pub fn change(&self, value: Amount) -> TxOut {
        TxOut { value, script_pubkey: self.script.clone() }
    }

    /// The smallest confirmed coin that is enough alone; else the largest ones, confirmed before unconfirmed.
    fn select(&self, needed: impl Fn(u64) -> u64) -> Option<Vec<(Amount, OutPoint)>> {
        let least = OutPoint::new(bitcoin::Txid::all_zeros(), 0);
        if let Some(coin) = self.confirmed.range((Amount::from_sat(needed(1)), least)..).next() {
            return Some(vec![*coin]);
        }
        let mut coins = Vec::new();
        let mut taken = 0u64;
        for coin in self.confirmed.iter().rev().chain(self.unconfirmed.iter().rev()) {
            coins.push(*coin);
            taken += coin.0.to_sat();
            if taken >= needed(coins.len() as u64) {
                return Some(coins);
            }
        }
        None
    }

    /// A signed transaction that spends exactly these coins of the customer to exactly these outputs.
    pub fn spend(&self, coins: &[(Amount, OutPoint)], sequence: Sequence, output: Vec<TxOut>) -> Transaction {
        let input = coins.iter().map(|(_, outpoint)| TxIn { previous_output: *outpoint, sequence, ..TxIn::default() });
        let mut transaction = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: input.collect(),
            output,
        };
        let mut hashes = SighashCache::new(&mut transaction);
        for (index, (value, _)) in coins.iter().enumerate() {
            let hash = hashes
                .p2wpkh_signature_hash(index, &self.script, *value, EcdsaSighashType::All)
                .expect("the script is a key hash and the input exists");
            let signature = ecdsa::Signature::sighash_all(self.curve.sign_ecdsa(&hash.into(), &self.secret));
            *hashes.witness_mut(index).expect("the input exists") = Witness::p2wpkh(&signature, &self.key.0);
        }
        transaction
    }
}

/// Virtual size of a transaction with this many inputs of the customer, at most.
pub fn vsize<'a>(inputs: u64, outputs: impl IntoIterator<Item = &'a TxOut>) -> u64 {
    let outputs: u64 = outputs.into_iter().map(|output| output.size() as u64).sum();
    // Version, locktime and two counts of up to three bytes; an outpoint, an empty script and a sequence an input.
    let plain = 4 + 4 + 3 + 3 + inputs * (36 + 1 + 4) + outputs;
    (plain * 4 + 2 + inputs * WITNESS_BYTES).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::super::scripts;
    use super::*;

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint::new(bitcoin::Txid::all_zeros(), vout)
    }

    fn wallet(coins: &[(u64, Standing)]) -> Wallet {
        let mut wallet = Wallet::new();
        for (vout, (sats, standing)) in (0u32..).zip(coins) {
            wallet.note(outpoint(vout), Some((*standing, Amount::from_sat(*sats))));
        }
        wallet
    }

    fn pay(wallet: &Wallet, sats: u64) -> Option<Transaction> {
        let script_pubkey = ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::all_zeros());
        wallet.pay(vec![TxOut { value: Amount::from_sat(sats), script_pubkey }])
    }

    fn inputs(transaction: &Transaction) -> Vec<u32> {
        transaction.input.iter().map(|input| input.previous_output.vout).collect()
    }

    #[test]
    fn the_smallest_confirmed_coin_that_is_enough_is_taken_alone() {
        use Standing::{Confirmed, Unconfirmed};
        let wallet = wallet(&[(90_000, Confirmed), (50_000, Confirmed), (30_000, Unconfirmed), (1_000, Confirmed)]);
        assert_eq!(inputs(&pay(&wallet, 20_000).unwrap()), [1]);
        assert_eq!(inputs(&pay(&wallet, 100_000).unwrap()), [0, 1]);
        assert_eq!(inputs(&pay(&wallet, 150_000).unwrap()), [0, 1, 3, 2]);
        assert!(pay(&wallet, 171_000).is_none());
        assert!(pay(&wallet, u64::MAX).is_none());
    }

    #[test]
    fn a_payment_is_signed_pays_its_size_and_gives_change() {
        let wallet = wallet(&[(50_000, Standing::Confirmed), (60_000, Standing::Confirmed)]);
        let transaction = pay(&wallet, 100_000).unwrap();
        let coins = [60_000, 50_000].map(|sats| wallet.change(Amount::from_sat(sats)));
        assert_eq!(scripts::verify(&transaction, &coins), Ok(()));
        let paid: u64 = transaction.output.iter().map(|output| output.value.to_sat()).sum();
        let fee = 110_000 - paid;
        let vsize = transaction.vsize() as u64;
        assert!(fee >= FEE_RATE * vsize && fee <= FEE_RATE * (vsize + 8), "{fee} for {vsize}");
        assert_eq!(transaction.output[1].script_pubkey, *wallet.script());
    }

    #[test]
    fn change_too_small_to_be_spent_goes_to_the_miner() {
        let transaction = pay(&wallet(&[(50_000, Standing::Confirmed)]), 49_500).unwrap();
        assert_eq!(transaction.output.len(), 1);
    }

    #[test]
    fn a_coin_noted_anew_counts_once() {
        let mut wallet = wallet(&[(50_000, Standing::Unconfirmed)]);
        wallet.note(outpoint(0), Some((Standing::Confirmed, Amount::from_sat(50_000))));
        assert_eq!(wallet.balance(), Amount::from_sat(50_000));
        wallet.note(outpoint(0), None);
        assert_eq!(wallet.balance(), Amount::ZERO);
        assert!(pay(&wallet, 1_000).is_none());
    }
}
