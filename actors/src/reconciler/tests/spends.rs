//! What leaves the hot wallet as a payout, as a declared sweep, and as neither.

use millrace_model::deposit::Stage;
use millrace_model::ids::Hash32;
use millrace_model::operator::By;
use millrace_protocols::wire::skycoin::hash::UxId;

use super::*;
use crate::sender::tests::node::Mining;

/// The rig's deposits are in block 7: from before the process began.
const LAST_BLOCK_BEFORE: u64 = 7;
/// Somebody who is nobody's customer.
const THIEF: u8 = 66;

/// A look by itself, of a wallet that was opened, at a desk with nothing else.
struct Looks {
    rig: Rig,
    operations: Operations,
    spends: Spends,
}

impl Looks {
    async fn on(rig: Rig) -> Self {
        let operations = operations::start(&rig.tree, rig.deposits.clone(), rig.keys()).unwrap();
        let (_, desk) = crate::brakes::read_desk(rig.deposits.store()).unwrap();
        if !desk.is_opened(Place::HotWallet, Ticker::Sky) {
            let note = Note::new("as counted").unwrap();
            let opening = Transfer { kind: TransferKind::Opening, place: Place::HotWallet, coins: sky("100") };
            operations.declare(opening, note, None, Some(By::Token)).await.unwrap();
        }
        rig.deposits.past().ended_at(LAST_BLOCK_BEFORE);
        let spends = Spends::new(rig.deposits.clone(), operations.clone(), rig.node.clone(), 2);
        Self { rig, operations, spends }
    }

    /// One that has begun to look, with outputs of these coins.
    async fn begun(outputs: &[&str]) -> (Self, Vec<UxId>) {
        let rig = Rig::new().await;
        let outputs = outputs.iter().map(|coins| rig.node.ledger().give(coins, 50)).collect();
        let mut looks = Self::on(rig).await;
        assert_eq!(looks.look().await, (vec![], vec![]));
        (looks, outputs)
    }

    /// The transactions that are nobody's, and those that the desk would be halted for.
    async fn look(&mut self) -> (Vec<Hash32>, Vec<Hash32>) {
        let names = |spends: Vec<Spend>| spends.into_iter().map(|spend| spend.txid).collect();
        let seen = self.spends.look().await.unwrap();
        (names(seen.strays), names(seen.judged))
    }

    /// Somebody with the key spends this, in a block of its own.
    fn take(&self, output: UxId, to: u8) -> Hash32 {
        let mut ledger = self.rig.node.ledger();
        let txid = ledger.steal(&[output], to);
        ledger.mine();
        Hash32(txid.0)
    }

    async fn sweep(&self, coins: &str) {
        let transfer = Transfer { kind: TransferKind::Sweep, place: Place::HotWallet, coins: sky(coins) };
        self.operations.declare(transfer, Note::new("into the safe").unwrap(), None, Some(By::Token)).await.unwrap();
    }

    fn desk(&self) -> millrace_model::desk::Desk {
        crate::brakes::read_desk(self.rig.deposits.store()).unwrap().1
    }
}

/// O5: the first look may have met a block that goes away again.
#[tokio::test]
async fn what_takes_coins_and_is_no_payout_is_judged_when_it_is_there_twice_and_once_only() {
    let (mut looks, outputs) = Looks::begun(&["40", "60"]).await;
    let theft = looks.take(outputs[0], THIEF);
    assert_eq!(looks.look().await, (vec![theft], vec![]));
    assert_eq!(looks.look().await, (vec![theft], vec![theft]));
    let spends = looks.spends.look().await.unwrap().judged;
    assert_eq!((spends[0].block_seq, spends[0].coins), (1, "40".parse().unwrap()));
    looks.operations.halt(HaltCause::StraySpends { spends }).await.unwrap();
    assert_eq!(looks.look().await, (vec![], vec![]));
    looks.sweep("40").await;
    let second = looks.take(outputs[1], THIEF);
    looks.look().await;
    assert_eq!(looks.look().await, (vec![second], vec![second]), "what accounts for the first covers no other");
}

/// O5: the operator's own.
#[tokio::test]
async fn a_declared_sweep_is_no_stranger_and_covers_no_coin_twice() {
    let (mut looks, outputs) = Looks::begun(&["10", "30", "30"]).await;
    looks.sweep("40").await;
    looks.take(outputs[0], THIEF);
    looks.take(outputs[1], THIEF);
    assert_eq!(looks.look().await, (vec![], vec![]));
    let Looks { rig, .. } = looks;
    let mut looks = Looks::on(rig.restart().await).await;
    assert_eq!(looks.look().await, (vec![], vec![]), "the log knows which ones were taken for it");
    let theft = looks.take(outputs[2], THIEF);
    assert_eq!(looks.look().await, (vec![theft], vec![]));
}

#[tokio::test]
async fn what_stays_in_the_wallet_needs_no_account() {
    let (mut looks, outputs) = Looks::begun(&["10"]).await;
    looks.take(outputs[0], crate::sender::tests::node::HOT);
    assert_eq!(looks.look().await, (vec![], vec![]));
}

/// O5: whenever it was signed, and however often the desk began since.
#[tokio::test]
async fn payouts_are_matched_over_a_restart() {
    let (mut looks, _) = Looks::begun(&["40", "60"]).await;
    looks.rig.send();
    let first = looks.rig.owe(9, "3").await;
    looks.rig.until_paid(first).await;
    looks.rig.node.ledger().mining = Mining::ByHand;
    let second = looks.rig.owe(10, "4").await;
    looks.rig.until(second, |deposit| deposit.stage == Stage::WaitConfirm).await;
    assert_eq!(looks.look().await, (vec![], vec![]));
    let Looks { rig, .. } = looks;
    let mut looks = Looks::on(rig.restart().await).await;
    looks.rig.node.ledger().mine();
    assert_eq!(looks.look().await, (vec![], vec![]));
}

/// O5: the sender takes it up, or a person is asked about the deposit.
#[tokio::test]
async fn a_payout_that_the_log_has_forgotten_is_left_to_its_deposit_while_it_may_be_its() {
    let (looks, outputs) = Looks::begun(&["40", "60"]).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let Looks { rig, .. } = looks;
    rig.deposits.store().reader().unwrap().back_up(&copy).unwrap();
    let id = rig.owe(9, "12.5").await;
    rig.send();
    rig.until_paid(id).await;
    let mut looks = Looks::on(rig.restore(&copy).await).await;
    let (forgotten, judged) = looks.look().await;
    assert_eq!((forgotten.len(), judged), (1, vec![]));
    let id = looks.rig.owe(9, "12.5").await;
    assert_eq!(looks.look().await, (forgotten, vec![]), "it may be this one's");
    looks.rig.send();
    looks.rig.until_paid(id).await;
    assert_eq!(looks.look().await, (vec![], vec![]));

    let unspent = outputs.into_iter().find(|output| looks.rig.node.ledger().unspent().contains_key(output)).unwrap();
    let theft = looks.take(unspent, 9);
    looks.look().await;
    assert_eq!(looks.look().await, (vec![theft], vec![theft]), "nothing is owed to him any more");
}

#[tokio::test]
async fn what_is_final_and_matched_is_not_read_again_and_the_log_knows_how_far() {
    let (mut looks, outputs) = Looks::begun(&["40", "60"]).await;
    let blocks = |count| (0..count).for_each(|_| looks.rig.node.ledger().mine());
    assert_eq!(looks.desk().spends().matched_to(), Some(0));
    blocks(300);
    looks.look().await;
    assert_eq!(looks.desk().spends().matched_to(), Some(299));
    let theft = looks.take(outputs[0], THIEF);
    (0..300).for_each(|_| looks.rig.node.ledger().mine());
    assert_eq!(looks.look().await.0, [theft]);
    assert_eq!(looks.desk().spends().matched_to(), Some(299), "what is not accounted for holds it up");
    let Looks { rig, .. } = looks;
    let mut looks = Looks::on(rig.restart().await).await;
    assert_eq!(looks.look().await.0, [theft]);
}

/// O5: the whole part, and what is said.
#[tokio::test]
async fn a_theft_from_the_hot_wallet_halts_the_desk_with_its_name() {
    let desk = desk("100", None, Openings::AsFound).await;
    desk.rig.deposits.past().ended_at(LAST_BLOCK_BEFORE);
    let store = desk.rig.deposits.store().clone();
    while crate::brakes::read_desk(&store).unwrap().1.spends().matched_to().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let output = *desk.rig.node.ledger().unspent().keys().next().unwrap();
    let theft = {
        let mut ledger = desk.rig.node.ledger();
        let txid = ledger.steal(&[output], THIEF);
        ledger.mine();
        txid
    };
    let said = format!("transaction {theft} in block 1 took 100.000000 SKY");
    let halt = desk.until_halted().await.to_string();
    assert!(halt.contains(&said), "{halt}");
    assert!(desk.rig.until_alarm(PART, "missing").await.contains("0.000000 SKY found"), "and the coins are missing");
}
