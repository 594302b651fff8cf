// The two Redis clients of Node, against a node with retwis: clients.cjs redis|ioredis PORT
// Ends with status 77 if the library is not installed.
const assert = require('node:assert');

const [library, port] = process.argv.slice(2);
let loaded;
try {
    loaded = require(library);
} catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    process.exit(77);
}

async function nodeRedis(protocol) {
    const client = loaded.createClient({url: `redis://127.0.0.1:${port}`, RESP: protocol, name: 'tester'});
    client.on('error', error => { throw error; });
    await client.connect();
    const call = (name, keys, ...args) => client.sendCommand(['FCALL', name, String(keys.length), ...keys, ...args]);
    await check(call, (id, n) => client.fCallRo('User.timeline', {keys: [id], arguments: [String(n)]}));
    assert.equal(await client.fCall('User.follow', {keys: ['dora'], arguments: ['alice']}), 1);
    await client.quit();
}

async function ioRedis() {
    const client = new loaded.Redis({port: Number(port), connectionName: 'tester'});
    const call = (name, keys, ...args) => client.fcall(name, keys.length, ...keys, ...args);
    await check(call, (id, n) => client.fcall_ro('User.timeline', 1, id, n));
    const replies = await client.pipeline().fcall('User.posts', 1, 'alice', 1).ping().exec();
    assert.equal(replies[1][1], 'PONG');
    await client.quit();
}

async function check(call, timeline) {
    assert.equal(await call('User.create', ['alice'], 'Alice \u00e9'), null);
    assert.equal(await call('User.profile', ['alice']), 'Alice \u00e9');
    await call('User.follow', ['bob'], 'alice');
    const before = (await timeline('bob', 100)).length;
    // Pipelined: replies come in the order of the calls.
    const counts = await Promise.all(Array.from({length: 20}, (_, i) => call('User.post', ['alice'], `post ${i}`)));
    assert.deepEqual(new Set(counts).size, 1);
    const entries = await timeline('bob', 100);
    assert.equal(entries.length, before + 20);
    assert.equal(entries[0][2], 'post 19');
    assert.equal(typeof entries[0][1], 'number');
    await assert.rejects(call('User.nosuch', ['alice']), /UNKNOWN_METHOD/);
    await assert.rejects(call('User.deliver', ['alice'], 'x'), /NOT_PUBLIC/);
}

(async () => {
    if (library === 'ioredis') {
        await ioRedis();
    } else {
        await nodeRedis(2);
        await nodeRedis(3);
    }
    process.exit(0);
})().catch(error => {
    console.error(error);
    process.exit(1);
});
