// node_redis_client.cjs PORT GUESTS: what a program that uses node-redis does, in both versions of the protocol.
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { createClient, ErrorReply } = require('redis');
const version = require('redis/package.json').version;

const port = Number(process.argv[2]), guests = process.argv[3];
const guest = name => fs.readFileSync(path.join(guests, name + '.wasm'));

async function through(protocol) {
    const name = `node${protocol}`;
    const r = createClient({ url: `redis://127.0.0.1:${port}`, RESP: protocol, name,
                             socket: { reconnectStrategy: false } });
    r.on('error', error => { throw error; });
    await r.connect();
    assert.strictEqual(await r.ping(), 'PONG');
    assert.strictEqual(await r.clientGetName(), name);
    for (const module of ['register', 'retwis', 'probe'])
        assert.strictEqual(String(await r.sendCommand(['FUNCTION', 'LOAD', 'REPLACE', guest(module)])), module);
    assert.ok(JSON.stringify(await r.functionList()).includes('register'));

    const call = (f, id, ...args) => r.fCall(f, { keys: [id], arguments: args.map(a => typeof a === 'number' ? String(a) : a) });
    const read = (f, id, ...args) => r.fCallRo(f, { keys: [id], arguments: args.map(String) });
    assert.strictEqual(await call('Counter.add', name, 5), 5);
    assert.strictEqual(await read('Counter.get', name), 5);
    assert.strictEqual(await call('Probe.set', name, 'text'), null);
    assert.strictEqual(await call('Probe.get', name), 'text');
    assert.strictEqual(await call('Probe.get', `nothing ${name}`), null);
    assert.strictEqual(await call('User.post', name, 'hello'), 0);
    const [[author, when, text]] = await read('User.timeline', name, 10);
    assert.ok(author === name && typeof when === 'number' && text === 'hello');
    for (let i = 0; i < 3; i++)
        assert.strictEqual(await r.fCall('Counter.add', { keys: [`${name}k`, 'the key'], arguments: ['1'] }), 1);

    const fails = async (promise, words) => {
        const error = await promise.then(() => null, e => e);
        assert.ok(error instanceof ErrorReply && error.message.includes(words), `${words}: ${error}`);
    };
    await fails(call('Nothing.at_all', 'x'), 'UNKNOWN_TYPE');
    await fails(call('User.deliver', 'x', 'y'), 'NOT_PUBLIC');
    await fails(read('Counter.add', 'x'), 'NOT_READ_ONLY');
    await fails(call('Probe.add_then_fail', 'x'), 'on purpose');
    await fails(r.set('a', 'b'), 'start it with --cache');

    const inside = await call('Probe.fan', `${name}fan`, 'add_then_fail', 'a', 'b');
    assert.ok(inside.length === 2 && inside.every(one => one instanceof Error), String(inside));

    // Commands of one turn of the loop are pipelined.
    const values = await Promise.all(Array.from({ length: 2000 }, () => call('Counter.add', `${name}pipe`, 1)));
    values.forEach((value, i) => assert.strictEqual(value, i + 1));
    const mixed = await Promise.allSettled([call('Counter.get', name), call('Counter.fly', name), call('Counter.get', name)]);
    assert.deepStrictEqual(mixed.map(one => one.status), ['fulfilled', 'rejected', 'fulfilled']);

    // Transactions: all is done, or an error and nothing is.
    const add = on => on.fCall('Counter.add', { keys: [`${name}multi`], arguments: ['1'] });
    assert.deepStrictEqual((await add(add(add(r.multi()))).exec()).map(Number), [1, 2, 3]);
    await fails(add(r.multi()).set('a', 'b').exec(), 'start it with --cache');
    assert.strictEqual(await read('Counter.get', `${name}multi`), 3);
    await fails(r.watch('a'), 'WATCH TYPE/ID');
    await r.unwatch();
    await r.watch(`Counter/${name}multi`);
    await add(r);
    const changed = await add(r.multi()).exec().then(() => null, e => e);
    assert.ok(String(changed).includes('watched keys has been changed'), String(changed));

    const info = await r.info();
    assert.ok(/\r\nredis_mode:standalone\r\n/.test(info) && info.includes(`tcp_port:${port}`));
    assert.strictEqual((await r.configGet('appendonly')).appendonly, 'yes');
    await r.close();
}

through(2).then(() => through(3)).then(() => console.log(`node-redis ${version}: both protocols`), error => {
    console.error(error);
    process.exit(1);
});
