// Makes bcoin 1.0.2 answer as Bitcoin Core does in regtest: `node -r ./bcoin-shim.js …/bcoin/bin/node …`.
//
// Mended: address and key prefixes, numeric `getblock` and `getrawtransaction` verbosity, error codes and HTTP
// status, numeric version, `bits` as hex, `nTx`, `nonce`, `confirmations: -1` off the main chain, script types and
// the single `address`, amounts with eight decimals, and `sendrawtransaction` that says why it refused.
// Left as it is, since a desk must live with worse: a reorganisation does not put the orphaned transactions back.
'use strict';

const { middleware, RPCError } = require('bweb');
const Amount = require('bcoin/lib/btc/amount');
const RPC = require('bcoin/lib/node/rpc');
const TX = require('bcoin/lib/primitives/tx');
const { regtest } = require('bcoin/lib/protocol/networks');

Object.assign(regtest.addressPrefix, { pubkeyhash: 111, scripthash: 196, bech32: 'bcrt' });
Object.assign(regtest.keyPrefix, {
  privkey: 0xef, xpubkey: 0x043587cf, xprivkey: 0x04358394, xpubkey58: 'tpub', xprivkey58: 'tprv',
});

// The node ends with whoever started it, however that one ended: its end of our stdin closes.
process.stdin.on('end', () => process.exit(0)).resume();

// Amounts travel as marked strings until the answer is text: a JavaScript number would become 1e-8.
const btc = Amount.btc;
Amount.btc = (value, asNumber) => (asNumber ? `btc:${(value / 1e8).toFixed(8)}` : btc(value, false));

// Core answers an error of JSON-RPC 1.x with status 500, an unknown method with 404, and one of 2.0 with 200.
middleware.jsonRPC = (rpc) => async (req, res) => {
  if (req.method !== 'POST' || req.pathname !== '/') return;
  const answer = await rpc.call(req.body, req.query);
  const code = req.body.jsonrpc !== '2.0' && answer.error ? answer.error.code : 0;
  const status = code === 0 ? 200 : code === -32601 ? 404 : 500;
  res.send(status, JSON.stringify(answer).replace(/"btc:([-0-9.]+)"/g, '$1') + '\n', 'application/json');
};

// Wraps a method of the RPC class: `change(result, …arguments)` may alter the result in place.
const wrap = (name, change) => {
  const original = RPC.prototype[name];
  RPC.prototype[name] = async function (...args) {
    const result = await original.apply(this, args);
    return (await change.call(this, result, ...args)) || result;
  };
};

const execute = RPC.prototype.execute;
RPC.prototype.execute = function (call, help) {
  return execute.call(this, call, help).catch((error) => {
    const unknown = /^(Block not found|Transaction not found|Transaction not in mempool)/.test(error.message);
    throw unknown ? new RPCError(-5, error.message) : error;
  });
};

const getBlock = RPC.prototype.getBlock;
RPC.prototype.getBlock = function ([hash, verbosity = 1], help) {
  return getBlock.call(this, [hash, Number(verbosity) > 0, Number(verbosity) > 1], help);
};
const getRawTransaction = RPC.prototype.getRawTransaction;
RPC.prototype.getRawTransaction = function ([txid, verbosity = 0], help) {
  return getRawTransaction.call(this, [txid, Number(verbosity) > 0], help);
};

async function mendHeader(json, entry) {
  const onMainChain = await this.chain.isMainHash(entry.hash);
  json.bits = entry.bits.toString(16).padStart(8, '0');
  json.nonce = entry.nonce;
  json.nTx = (await this.chain.getBlock(entry.hash)).txs.length;
  if (!onMainChain) json.confirmations = -1;
  if (!onMainChain || !json.nextblockhash) delete json.nextblockhash;
  if (!json.previousblockhash) delete json.previousblockhash;
}
wrap('headerToJSON', mendHeader);
wrap('blockToJSON', async function (json, entry, block, details) {
  await mendHeader.call(this, json, entry);
  if (!details) return;
  json.tx.forEach((tx, i) => {
    ['blockhash', 'confirmations', 'time', 'blocktime'].forEach((key) => delete tx[key]);
    tx.hex = block.txs[i].toRaw().toString('hex');
  });
});
wrap('getNetworkInfo', (json) => { json.version = 280100; });
wrap('getBlockchainInfo', (json) => { json.initialblockdownload = false; delete json.pruneheight; });

const TYPES = { WITNESSPUBKEYHASH: 'witness_v0_keyhash', WITNESSSCRIPTHASH: 'witness_v0_scripthash' };
const scriptToJSON = RPC.prototype.scriptToJSON;
RPC.prototype.scriptToJSON = function (script, hex) {
  const { asm, hex: code, type, addresses } = scriptToJSON.call(this, script, hex);
  const known = TYPES[type] || type.toLowerCase();
  if (!script.isProgram()) return { asm, hex: code, address: addresses[0], type: known };
  const { version, data } = script.getProgram();
  const taproot = version === 1 && data.length === 32;
  const later = taproot ? 'witness_v1_taproot' : 'witness_unknown';
  return version === 0 ? { asm, hex: code, address: addresses[0], type: known } : { asm, hex: code, type: later };
};
const txToJSON = RPC.prototype.txToJSON;
RPC.prototype.txToJSON = function (tx, entry) {
  const json = txToJSON.call(this, tx, entry);
  if (!entry) ['blockhash', 'confirmations', 'time', 'blocktime'].forEach((key) => delete json[key]);
  return Object.assign(json, { weight: tx.getWeight() });
};

RPC.prototype.sendRawTransaction = async function ([hex]) {
  if (typeof hex !== 'string' || !/^([0-9a-f]{2})+$/i.test(hex)) throw new RPCError(-22, 'TX decode failed.');
  const tx = TX.fromRaw(hex, 'hex');
  const spent = await Promise.all(tx.outputs.map((_, i) => this.chain.getCoin(tx.hash('hex'), i)));
  if (spent.some(Boolean)) throw new RPCError(-27, 'Transaction outputs already in utxo set');
  try {
    const missing = await this.mempool.addTX(tx);
    if (missing) throw new RPCError(-25, 'bad-txns-inputs-missingorspent');
  } catch (error) {
    if (error.reason === 'txn-already-in-mempool') return tx.txid();
    if (error.type !== 'VerifyError') throw error;
    const reasons = { 'bad-txns-inputs-spent': 'txn-mempool-conflict' };
    throw new RPCError(-26, reasons[error.reason] || error.reason);
  }
  return tx.txid();
};
