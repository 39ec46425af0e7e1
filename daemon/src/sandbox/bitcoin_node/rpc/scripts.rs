//! Scripts as Bitcoin Core 28 tells them.

use bitcoin::opcodes::all::{OP_PUSHNUM_1, OP_PUSHNUM_16};
use bitcoin::script::{Instruction, read_scriptint};
use bitcoin::{Network, Script, WitnessVersion};
use millrace_protocols::receive::address_of;
use serde::Serialize;

/// An output's script.
#[derive(Serialize)]
pub struct ScriptShape<'a> {
    asm: String,
    hex: &'a Script,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> ScriptShape<'a> {
    /// As it is told.
    pub fn new(script: &'a Script) -> Self {
        let address = address_of(script, Network::Regtest).map(|address| address.to_string());
        Self { asm: asm(script), hex: script, address, kind: kind(script) }
    }
}

fn kind(script: &Script) -> &'static str {
    match script.witness_version() {
        _ if script.is_p2pkh() => "pubkeyhash",
        _ if script.is_p2sh() => "scripthash",
        _ if script.is_p2wpkh() => "witness_v0_keyhash",
        _ if script.is_p2wsh() => "witness_v0_scripthash",
        _ if script.is_p2tr() => "witness_v1_taproot",
        _ if script.is_p2pk() => "pubkey",
        _ if script.is_op_return() => "nulldata",
        Some(WitnessVersion::V0) | None => "nonstandard",
        Some(_) => "witness_unknown",
    }
}

/// A script in Bitcoin Core's words: pushes as hex, short ones as numbers.
pub fn asm(script: &Script) -> String {
    let word = |part: Result<Instruction<'_>, _>| match part {
        Ok(Instruction::PushBytes(bytes)) if bytes.is_empty() => "0".to_owned(),
        Ok(Instruction::PushBytes(bytes)) => match read_scriptint(bytes.as_bytes()) {
            Ok(number) if bytes.len() <= 4 => number.to_string(),
            _ => hex::encode(bytes.as_bytes()),
        },
        Ok(Instruction::Op(op)) if (OP_PUSHNUM_1.to_u8()..=OP_PUSHNUM_16.to_u8()).contains(&op.to_u8()) => {
            (op.to_u8() - OP_PUSHNUM_1.to_u8() + 1).to_string()
        }
        Ok(Instruction::Op(op)) => op.to_string(),
        Err(_) => "[error]".to_owned(),
    };
    script.instructions().map(word).collect::<Vec<_>>().join(" ")
}
