//! What a block takes from a wallet.

use millrace_model::money::{Amount, Sky};
use serde::Deserialize;

use super::super::address::SkyAddress;
use super::super::hash::Txid;
use super::failure::{Failure, decode};
use super::seen::SeenOutput;

/// A transaction that spends outputs of a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// Its name.
    pub txid: Txid,
    /// How much of the wallet's coins went to others.
    pub coins: Amount<Sky>,
}

#[derive(Deserialize)]
struct Answer {
    body: Body,
}

#[derive(Deserialize)]
struct Body {
    txns: Vec<Txn>,
}

#[derive(Deserialize)]
struct Txn {
    txid: Txid,
    inputs: Vec<Input>,
    outputs: Vec<SeenOutput>,
}

#[derive(Deserialize)]
struct Input {
    owner: SkyAddress,
    coins: Amount<Sky>,
}

/// Reads the answer to [`super::get_block_with_owners`]: the transactions that spend outputs of these addresses. `None` when
/// there is no such block (404).
pub fn spends(status: u16, body: &[u8], ours: &[SkyAddress]) -> Result<Option<Vec<Spend>>, Failure> {
    if status == 404 {
        return Ok(None);
    }
    let Answer { body } = decode(status, body)?;
    body.txns.iter().filter_map(|txn| spend(txn, ours).transpose()).collect::<Result<_, _>>().map(Some)
}

fn spend(txn: &Txn, ours: &[SkyAddress]) -> Result<Option<Spend>, Failure> {
    let is_ours = |address: &SkyAddress| ours.contains(address);
    let spent: Vec<_> = txn.inputs.iter().filter(|input| is_ours(&input.owner)).map(|input| input.coins).collect();
    if spent.is_empty() {
        return Ok(None);
    }
    let kept = txn.outputs.iter().filter(|output| is_ours(&output.address)).map(|output| output.coins);
    let sums = Amount::checked_sum(spent).zip(Amount::checked_sum(kept));
    let (spent, kept) = sums.ok_or_else(|| Failure::nonsense("txns", "more coins than there are"))?;
    // With inputs of others beside ours, more may have come in than went out.
    let coins = spent.checked_sub(kept).unwrap_or(Amount::ZERO);
    Ok(Some(Spend { txid: txn.txid, coins }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "nTzdb7h8eHXprF1sS2J9wt96hjorfqLRhN";
    const THEIRS: &str = "ebid3QHdf1zDAiyqbixXsShdmjBMZ4sKgu";

    fn txn(name: &str, inputs: &[(&str, &str)], outputs: &[(&str, &str)]) -> String {
        let hash = name.repeat(64);
        let inputs = inputs.iter().map(|(owner, coins)| {
            format!(r#"{{"uxid":"{hash}","owner":"{owner}","coins":"{coins}","hours":4,"calculated_hours":5}}"#)
        });
        let outputs = outputs
            .iter()
            .map(|(to, coins)| format!(r#"{{"uxid":"{hash}","dst":"{to}","coins":"{coins}","hours":1}}"#));
        let [inputs, outputs] = [inputs.collect::<Vec<_>>(), outputs.collect()].map(|list| list.join(","));
        format!(
            r#"{{"length":220,"type":0,"txid":"{hash}","inner_hash":"{hash}","fee":3,"sigs":[],"inputs":[{inputs}],"outputs":[{outputs}]}}"#
        )
    }

    fn read(txns: &[String]) -> Result<Option<Vec<Spend>>, Failure> {
        let body = format!(r#"{{"header":{{"seq":7}},"body":{{"txns":[{}]}},"size":9}}"#, txns.join(","));
        spends(200, body.as_bytes(), &[OURS.parse().unwrap()])
    }

    #[test]
    fn what_leaves_a_wallet_is_what_it_spends_less_what_comes_back() {
        let found = read(&[
            txn("1", &[(THEIRS, "9")], &[(OURS, "9")]),
            txn("2", &[(OURS, "5"), (OURS, "2")], &[(THEIRS, "3.5"), (OURS, "3.5")]),
            txn("3", &[(OURS, "4")], &[(OURS, "4")]),
            txn("4", &[(OURS, "1"), (THEIRS, "8")], &[(OURS, "2"), (THEIRS, "7")]),
        ]);
        let spend =
            |name: &str, coins: &str| Spend { txid: name.repeat(64).parse().unwrap(), coins: coins.parse().unwrap() };
        assert_eq!(found.unwrap().unwrap(), [spend("2", "3.5"), spend("3", "0"), spend("4", "0")]);
    }

    #[test]
    fn no_block_is_none_and_one_without_owners_is_nonsense() {
        assert_eq!(spends(404, b"404 Not Found", &[]).unwrap(), None);
        let bare = r#"{"body":{"txns":[{"txid":"11","inputs":["22"],"outputs":[]}]}}"#;
        assert!(matches!(spends(200, bare.as_bytes(), &[]), Err(Failure::Nonsense { .. })));
        let all = "18446744073709.551615";
        assert!(read(&[txn("1", &[(OURS, all), (OURS, all)], &[])]).is_err());
    }
}
