//! Judging the signatures of a transaction, for coins that one key can spend: legacy, nested and native segwit key
//! hashes, and taproot by its key. The sandbox has no script interpreter: other coins cannot be spent in it.

use bitcoin::hashes::Hash;
use bitcoin::script::Instruction;
use bitcoin::secp256k1::{Message, Secp256k1, VerifyOnly};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{
    CompressedPublicKey, PublicKey, Script, ScriptBuf, Transaction, TxOut, Witness, XOnlyPublicKey, ecdsa, taproot,
};

/// Why a coin may not be spent like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptError {
    /// The signature is of other bytes or another key.
    WrongSignature,
    /// The key is not the one the coin asks for.
    WrongKey,
    /// Too little, too much or no signature at all.
    Malformed,
    /// The coin needs a script interpreter.
    Unsupported,
}

impl ScriptError {
    /// What Bitcoin Core says.
    pub fn words(self) -> &'static str {
        match self {
            Self::WrongSignature => {
                "mandatory-script-verify-flag-failed (Script evaluated without error but finished with a false/empty \
                 top stack element)"
            }
            Self::WrongKey => "mandatory-script-verify-flag-failed (Script failed an OP_EQUALVERIFY operation)",
            Self::Malformed => "mandatory-script-verify-flag-failed (Operation not valid with the current stack size)",
            Self::Unsupported => "bad-txns-nonstandard-inputs",
        }
    }
}

/// Judges every input; `coins` are the outputs spent, in the order of the inputs.
pub fn verify(transaction: &Transaction, coins: &[TxOut]) -> Result<(), ScriptError> {
    let mut judge =
        Judge { transaction, coins, hashes: SighashCache::new(transaction), curve: Secp256k1::verification_only() };
    (0..transaction.input.len()).try_for_each(|index| judge.input(index))
}

struct Judge<'a> {
    transaction: &'a Transaction,
    coins: &'a [TxOut],
    hashes: SighashCache<&'a Transaction>,
    curve: Secp256k1<VerifyOnly>,
}

impl Judge<'_> {
    fn input(&mut self, index: usize) -> Result<(), ScriptError> {
        let input = &self.transaction.input[index];
        let script = &self.coins[index].script_pubkey;
        if script.is_p2wpkh() && input.script_sig.is_empty() {
            self.witness_key_hash(index, script, &input.witness)
        } else if script.is_p2tr() && input.script_sig.is_empty() {
            self.taproot_key(index, script, &input.witness)
        } else if script.is_p2sh() {
            let redeem = only_push(&input.script_sig)?;
            if ScriptBuf::new_p2sh(&redeem.script_hash()) != *script {
                return Err(ScriptError::WrongKey);
            }
            if !redeem.is_p2wpkh() {
                return Err(ScriptError::Unsupported);
            }
            self.witness_key_hash(index, &redeem, &input.witness)
        } else if script.is_p2pkh() {
            self.key_hash(index, script, &input.script_sig)
        } else {
            Err(ScriptError::Unsupported)
        }
    }

    fn witness_key_hash(&mut self, index: usize, script: &Script, witness: &Witness) -> Result<(), ScriptError> {
        let [signature, key] = two(witness.iter())?;
        let signature = ecdsa::Signature::from_slice(signature).map_err(|_| ScriptError::Malformed)?;
        let key = CompressedPublicKey::from_slice(key).map_err(|_| ScriptError::Malformed)?;
        if ScriptBuf::new_p2wpkh(&key.wpubkey_hash()) != *script {
            return Err(ScriptError::WrongKey);
        }
        let value = self.coins[index].value;
        let hash = self
            .hashes
            .p2wpkh_signature_hash(index, script, value, signature.sighash_type)
            .map_err(|_| ScriptError::Malformed)?;
        key.verify(&self.curve, &Message::from(hash), &signature).map_err(|_| ScriptError::WrongSignature)
    }

    fn key_hash(&self, index: usize, script: &Script, script_sig: &Script) -> Result<(), ScriptError> {
        let pushes = script_sig.instructions().map(|part| match part {
            Ok(Instruction::PushBytes(bytes)) => bytes.as_bytes(),
            Ok(Instruction::Op(_)) | Err(_) => &[],
        });
        let [signature, key] = two(pushes)?;
        let signature = ecdsa::Signature::from_slice(signature).map_err(|_| ScriptError::Malformed)?;
        let key = PublicKey::from_slice(key).map_err(|_| ScriptError::Malformed)?;
        if ScriptBuf::new_p2pkh(&key.pubkey_hash()) != *script {
            return Err(ScriptError::WrongKey);
        }
        let hash = self
            .hashes
            .legacy_signature_hash(index, script, signature.sighash_type.to_u32())
            .map_err(|_| ScriptError::Malformed)?;
        let message = Message::from_digest(hash.to_byte_array());
        key.verify(&self.curve, &message, &signature).map_err(|_| ScriptError::WrongSignature)
    }

    fn taproot_key(&mut self, index: usize, script: &Script, witness: &Witness) -> Result<(), ScriptError> {
        if witness.len() != 1 {
            return Err(ScriptError::Unsupported);
        }
        let signature = taproot::Signature::from_slice(&witness[0]).map_err(|_| ScriptError::Malformed)?;
        let key = XOnlyPublicKey::from_slice(&script.as_bytes()[2..]).map_err(|_| ScriptError::WrongKey)?;
        let hash = self
            .hashes
            .taproot_key_spend_signature_hash(index, &Prevouts::All(self.coins), signature.sighash_type)
            .map_err(|_| ScriptError::Malformed)?;
        self.curve
            .verify_schnorr(&signature.signature, &Message::from(hash), &key)
            .map_err(|_| ScriptError::WrongSignature)
    }
}

fn two<'a>(mut parts: impl Iterator<Item = &'a [u8]>) -> Result<[&'a [u8]; 2], ScriptError> {
    match (parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), None) => Ok([first, second]),
        _ => Err(ScriptError::Malformed),
    }
}

fn only_push(script_sig: &Script) -> Result<ScriptBuf, ScriptError> {
    let mut parts = script_sig.instructions();
    match (parts.next(), parts.next()) {
        (Some(Ok(Instruction::PushBytes(bytes))), None) => Ok(ScriptBuf::from_bytes(bytes.as_bytes().to_vec())),
        (Some(_), Some(_)) => Err(ScriptError::Unsupported),
        _ => Err(ScriptError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::key::{Keypair, TapTweak, UntweakedPublicKey};
    use bitcoin::script::PushBytesBuf;
    use bitcoin::secp256k1::{All, SecretKey};
    use bitcoin::sighash::EcdsaSighashType;
    use bitcoin::{Amount, OutPoint, Sequence, TxIn, transaction};

    use super::*;

    fn curve() -> Secp256k1<All> {
        Secp256k1::new()
    }

    fn secret() -> SecretKey {
        SecretKey::from_slice(&[9; 32]).unwrap()
    }

    fn key() -> CompressedPublicKey {
        CompressedPublicKey(secret().public_key(&curve()))
    }

    fn spending(script: ScriptBuf) -> (Transaction, [TxOut; 1]) {
        let input = TxIn { previous_output: OutPoint::null(), sequence: Sequence::MAX, ..TxIn::default() };
        let output = TxOut { value: Amount::from_sat(900), script_pubkey: ScriptBuf::new() };
        let transaction = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![input],
            output: vec![output],
        };
        (transaction, [TxOut { value: Amount::from_sat(1_000), script_pubkey: script }])
    }

    fn witness_for(transaction: &Transaction, script: &Script, value: Amount) -> Witness {
        let all = EcdsaSighashType::All;
        let hash = SighashCache::new(transaction).p2wpkh_signature_hash(0, script, value, all).unwrap();
        let signature = ecdsa::Signature::sighash_all(curve().sign_ecdsa(&hash.into(), &secret()));
        Witness::p2wpkh(&signature, &key().0)
    }

    #[test]
    fn a_native_and_a_nested_segwit_signature_count_and_a_changed_output_does_not() {
        let native = ScriptBuf::new_p2wpkh(&key().wpubkey_hash());
        for (script, script_sig) in [
            (native.clone(), ScriptBuf::new()),
            (
                ScriptBuf::new_p2sh(&native.script_hash()),
                ScriptBuf::builder().push_slice(PushBytesBuf::try_from(native.to_bytes()).unwrap()).into_script(),
            ),
        ] {
            let (mut transaction, coins) = spending(script);
            transaction.input[0].script_sig = script_sig;
            transaction.input[0].witness = witness_for(&transaction, &native, coins[0].value);
            assert_eq!(verify(&transaction, &coins), Ok(()));
            transaction.output[0].value = Amount::from_sat(899);
            assert_eq!(verify(&transaction, &coins), Err(ScriptError::WrongSignature));
            transaction.input[0].witness = Witness::new();
            assert_eq!(verify(&transaction, &coins), Err(ScriptError::Malformed));
        }
    }

    #[test]
    fn a_legacy_signature_counts_and_another_key_does_not() {
        let pay_to = |key: &PublicKey| ScriptBuf::new_p2pkh(&key.pubkey_hash());
        let key = PublicKey::new(key().0);
        let (mut transaction, coins) = spending(pay_to(&key));
        let all = EcdsaSighashType::All.to_u32();
        let hash = SighashCache::new(&transaction).legacy_signature_hash(0, &pay_to(&key), all).unwrap();
        let message = Message::from_digest(hash.to_byte_array());
        let signature = ecdsa::Signature::sighash_all(curve().sign_ecdsa(&message, &secret()));
        transaction.input[0].script_sig =
            ScriptBuf::builder().push_slice(signature.serialize()).push_key(&key).into_script();
        assert_eq!(verify(&transaction, &coins), Ok(()));

        let other = PublicKey::new(SecretKey::from_slice(&[8; 32]).unwrap().public_key(&curve()));
        let coins = [TxOut { script_pubkey: pay_to(&other), ..coins[0].clone() }];
        assert_eq!(verify(&transaction, &coins), Err(ScriptError::WrongKey));
    }

    #[test]
    fn a_taproot_key_signature_counts_and_one_of_another_value_does_not() {
        let pair = Keypair::from_secret_key(&curve(), &secret()).tap_tweak(&curve(), None).to_keypair();
        let internal = UntweakedPublicKey::from(key().0);
        let (mut transaction, coins) = spending(ScriptBuf::new_p2tr(&curve(), internal, None));
        let hash = SighashCache::new(&transaction)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&coins), bitcoin::TapSighashType::Default)
            .unwrap();
        let signature = curve().sign_schnorr_no_aux_rand(&hash.into(), &pair);
        let signature = taproot::Signature { signature, sighash_type: bitcoin::TapSighashType::Default };
        transaction.input[0].witness = Witness::p2tr_key_spend(&signature);
        assert_eq!(verify(&transaction, &coins), Ok(()));
        let coins = [TxOut { value: Amount::from_sat(1_001), ..coins[0].clone() }];
        assert_eq!(verify(&transaction, &coins), Err(ScriptError::WrongSignature));
    }

    #[test]
    fn coins_that_need_an_interpreter_cannot_be_spent() {
        let (transaction, coins) = spending(ScriptBuf::new());
        assert_eq!(verify(&transaction, &coins), Err(ScriptError::Unsupported));
    }
}
