//! The watch, moved by hand against a made-up best chain.

use std::collections::HashMap;

use bitcoin::block::{Header, Version};
use bitcoin::{CompactTarget, TxMerkleNode};
use millrace_model::chain::{BlockScanned, ChainReorged, Event, RECENT_BLOCKS_MAX};

use super::*;

/// A node whose best chain is `blocks`, genesis first.
struct Node {
    network: Network,
    downloading: bool,
    blocks: Vec<Block>,
    by_hash: HashMap<BlockHash, Block>,
}

impl Node {
    fn of(length: usize) -> Self {
        let mut node =
            Self { network: Network::Regtest, downloading: false, blocks: Vec::new(), by_hash: HashMap::new() };
        node.mine(length, 1);
        node
    }

    fn mine(&mut self, blocks: usize, branch: u32) {
        for _ in 0..blocks {
            let prev_blockhash = self.blocks.last().map_or(BlockHash::all_zeros(), Block::block_hash);
            let header = Header {
                version: Version::TWO,
                prev_blockhash,
                merkle_root: TxMerkleNode::all_zeros(),
                time: self.blocks.len() as u32,
                bits: CompactTarget::from_consensus(0),
                nonce: branch,
            };
            let block = Block { header, txdata: vec![] };
            self.by_hash.insert(block.block_hash(), block.clone());
            self.blocks.push(block);
        }
    }

    fn reorganise(&mut self, depth: usize, length: usize, branch: u32) {
        self.blocks.truncate(self.blocks.len() - depth);
        self.mine(length, branch);
    }

    fn at(&self, height: usize) -> BlockRef {
        BlockRef { height: height as u64, hash: hash32(self.blocks[height].block_hash()) }
    }

    fn tip(&self) -> usize {
        self.blocks.len() - 1
    }

    fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::ChainInfo => Answer::ChainInfo(ChainInfo {
                chain: self.network,
                blocks: self.tip() as u32,
                best_hash: self.blocks[self.tip()].block_hash(),
                initial_block_download: self.downloading,
            }),
            Ask::HashAt(height) => Answer::Hash(self.blocks.get(height as usize).map(Block::block_hash)),
            Ask::Block(hash) => Answer::Block(self.by_hash.get(&hash).cloned()),
        }
    }
}

/// Our side: everything that was recorded, and the chain as that leaves it.
#[derive(Default)]
struct Desk {
    chain: Chain,
    branch: Vec<BlockRef>,
    reorganisations: Vec<(BlockRef, BlockRef)>,
}

impl Desk {
    fn record(&mut self, event: Event) {
        self.chain = std::mem::take(&mut self.chain).evolve(&event);
    }

    fn round(&mut self, rules: Rules, mut answer: impl FnMut(Ask) -> Answer) -> Outcome {
        let mut watch = Watch::new(rules);
        loop {
            let ask = watch.ask(&self.chain);
            match watch.answer(&self.chain, answer(ask)) {
                Outcome::AskOn => {}
                Outcome::Block { at, block } => {
                    assert_eq!(hash32(block.block_hash()), at.hash);
                    self.branch.push(at);
                    self.record(BlockScanned { block: at }.into());
                }
                Outcome::Reorged { fork, abandoned } => {
                    self.branch.retain(|block| block.height <= fork.height);
                    self.reorganisations.push((fork, abandoned));
                    self.record(ChainReorged { fork, abandoned }.into());
                }
                Outcome::TooDeep => watch.deepen(self.branch.clone()),
                end @ (Outcome::AtTip | Outcome::Trouble(_)) => return end,
            }
        }
    }

    fn follow(&mut self, node: &Node) -> Outcome {
        self.round(RULES, |ask| node.answer(ask))
    }
}

const RULES: Rules = Rules { network: Network::Regtest, start: Start::Height(3) };

#[test]
fn the_first_run_begins_at_the_configured_height() {
    let (node, mut desk) = (Node::of(10), Desk::default());
    assert_eq!(desk.follow(&node), Outcome::AtTip);
    assert_eq!(desk.branch.first(), Some(&node.at(3)));
    assert_eq!(desk.chain.cursor(), Some(node.at(9)));
}

#[test]
fn or_at_the_newest_block() {
    let (node, mut desk) = (Node::of(10), Desk::default());
    let rules = Rules { start: Start::Tip, ..RULES };
    assert_eq!(desk.round(rules, |ask| node.answer(ask)), Outcome::AtTip);
    assert_eq!(desk.branch, [node.at(9)]);
}

#[test]
fn a_chain_that_did_not_move_costs_one_question() {
    let (node, mut desk) = (Node::of(10), Desk::default());
    desk.follow(&node);
    let mut asked = Vec::new();
    desk.round(RULES, |ask| {
        asked.push(ask);
        node.answer(ask)
    });
    assert_eq!(asked, [Ask::ChainInfo]);
}

#[test]
fn a_reorganisation_leads_back_to_the_fork_and_on_along_the_new_branch() {
    let (mut node, mut desk) = (Node::of(10), Desk::default());
    desk.follow(&node);
    let (fork, abandoned) = (node.at(5), node.at(9));
    node.reorganise(4, 6, 2);
    assert_eq!(desk.follow(&node), Outcome::AtTip);
    assert_eq!(desk.reorganisations, [(fork, abandoned)]);
    assert_eq!(desk.branch, (3..12).map(|height| node.at(height)).collect::<Vec<_>>());
}

#[test]
fn a_new_branch_of_the_same_length_is_seen() {
    let (mut node, mut desk) = (Node::of(10), Desk::default());
    desk.follow(&node);
    let fork = node.at(8);
    node.reorganise(1, 1, 2);
    assert_eq!(desk.follow(&node), Outcome::AtTip);
    assert_eq!(desk.reorganisations.first().map(|(found, _)| *found), Some(fork));
    assert_eq!(desk.chain.cursor(), Some(node.at(9)));
}

#[test]
fn a_fork_deeper_than_memory_is_found_in_the_log() {
    let (mut node, mut desk) = (Node::of(RECENT_BLOCKS_MAX + 200), Desk::default());
    desk.follow(&node);
    let fork = node.at(node.tip() - RECENT_BLOCKS_MAX - 50);
    node.reorganise(RECENT_BLOCKS_MAX + 50, RECENT_BLOCKS_MAX + 51, 2);
    assert_eq!(desk.follow(&node), Outcome::AtTip);
    assert_eq!(desk.reorganisations.first().map(|(found, _)| *found), Some(fork));
    assert_eq!(desk.chain.cursor(), Some(node.at(node.tip())));
}

#[test]
fn the_very_first_block_read_may_be_reorganised_away() {
    let (mut node, mut desk) = (Node::of(10), Desk::default());
    desk.round(Rules { start: Start::Tip, ..RULES }, |ask| node.answer(ask));
    let below = node.at(7);
    node.reorganise(2, 3, 2);
    // Both block 9, which was read, and block 8, which was not, were replaced.
    assert_eq!(desk.follow(&node), Outcome::AtTip);
    assert_eq!(desk.reorganisations.first().map(|(fork, _)| fork.height), Some(8));
    assert_eq!(desk.branch, [node.at(9), node.at(10)]);
    assert_eq!(node.at(7), below);
}

/// P10: another chain is trouble and no reorganisation.
#[test]
fn another_chain_altogether_is_trouble_and_no_reorganisation() {
    let (node, mut desk) = (Node::of(200), Desk::default());
    desk.follow(&node);
    let mut other = Node::of(0);
    other.mine(300, 2);
    assert_eq!(desk.follow(&other), Outcome::Trouble(Trouble::NothingInCommon(3)));
    assert_eq!(desk.reorganisations, []);
}

/// P10: a wrong network, a node that still downloads, one that contradicts itself.
#[test]
fn a_node_that_cannot_be_followed_is_trouble_and_no_reorganisation() {
    let (mut node, mut desk) = (Node::of(10), Desk::default());
    assert_eq!(
        Desk::default().round(Rules { start: Start::Height(10), ..RULES }, |ask| node.answer(ask)),
        Outcome::Trouble(Trouble::NotYetThere { tip: 9, start: 10 })
    );
    desk.follow(&node);
    node.network = Network::Testnet;
    let wrong = Trouble::WrongNetwork { found: Network::Testnet, wanted: Network::Regtest };
    assert_eq!(desk.follow(&node), Outcome::Trouble(wrong));
    node.network = Network::Regtest;
    node.downloading = true;
    assert_eq!(desk.follow(&node), Outcome::Trouble(Trouble::InitialDownload(9)));
    node.downloading = false;
    node.blocks.truncate(5);
    assert_eq!(desk.follow(&node), Outcome::Trouble(Trouble::BehindUs { tip: 4, cursor: 9 }));
    assert_eq!((desk.reorganisations.len(), desk.branch.len()), (0, 7));
}

#[test]
fn a_block_that_is_gone_when_it_is_asked_for_begins_the_round_anew() {
    let (mut node, mut desk) = (Node::of(10), Desk::default());
    desk.follow(&node);
    node.mine(1, 1);
    let mut forgets = true;
    let outcome = desk.round(RULES, |ask| match ask {
        Ask::Block(_) if std::mem::take(&mut forgets) => Answer::Block(None),
        ask => node.answer(ask),
    });
    assert_eq!(outcome, Outcome::AtTip);
    assert_eq!(desk.chain.cursor(), Some(node.at(10)));
}

#[test]
fn a_node_that_never_settles_ends_the_round() {
    let (mut node, mut desk) = (Node::of(10), Desk::default());
    desk.follow(&node);
    node.mine(1, 1);
    let outcome = desk.round(RULES, |ask| match ask {
        Ask::HashAt(_) => Answer::Hash(None),
        ask => node.answer(ask),
    });
    assert_eq!(outcome, Outcome::Trouble(Trouble::Unsettled));
}

#[test]
fn an_answer_to_another_question_is_trouble() {
    let node = Node::of(10);
    let outcome = Desk::default().round(RULES, |_| node.answer(Ask::HashAt(1)));
    assert_eq!(outcome, Outcome::Trouble(Trouble::Mismatched));
}

#[test]
fn hashes_read_as_explorers_write_them() {
    let hash = Node::of(1).blocks[0].block_hash();
    assert_eq!(hash32(hash).to_string(), hash.to_string());
    assert_eq!(block_hash(hash32(hash)), hash);
}

#[test]
fn reading_begins_at_a_block_old_enough_found_with_few_questions() {
    let node = Node::of(200);
    let mut desk = Desk::default();
    let mut questions = 0;
    let since = Rules { start: Start::Since(150), ..RULES };
    let end = desk.round(since, |ask| {
        questions += 1;
        node.answer(ask)
    });
    assert_eq!(end, Outcome::AtTip);
    let first = desk.branch[0].height;
    assert!((100..=150).contains(&first), "began at {first}");
    assert_eq!(desk.branch.last(), Some(&node.at(199)));
    assert_eq!(desk.branch.len() as u64, 200 - first, "every block from there on");
    let reading = 2 * desk.branch.len() + 2;
    assert!(questions - reading <= 2 * 7, "{} questions to find where to begin", questions - reading);
}

#[test]
fn where_no_block_is_old_enough_reading_begins_with_the_first() {
    let mut node = Node::of(0);
    node.mine(20, 2);
    let mut desk = Desk::default();
    let since = Rules { start: Start::Since(0), ..RULES };
    assert_eq!(desk.round(since, |ask| node.answer(ask)), Outcome::AtTip);
    assert_eq!(desk.branch[0], node.at(0));
}
