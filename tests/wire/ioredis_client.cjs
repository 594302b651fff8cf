// ioredis_client.cjs PORT GUESTS: what a program that uses ioredis does.
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const Redis = require('ioredis');
const version = require('ioredis/package.json').version;

const port = Number(process.argv[2]), guests = process.argv[3];
const guest = name => fs.readFileSync(path.join(guests, name + '.wasm'));

async function main() {
    const r = new Redis({ port, connectionName: 'io', retryStrategy: null });
    assert.strictEqual(await r.ping(), 'PONG');
    assert.strictEqual(await r.client('GETNAME'), 'io');
    for (const name of ['register', 'retwis', 'probe'])
        assert.strictEqual(await r.function('LOAD', 'REPLACE', guest(name)), name);
    assert.ok(JSON.stringify(await r.function('LIST')).includes('Counter.add'));

    assert.strictEqual(await r.fcall('Counter.add', 1, 'io', 5), 5);
    assert.strictEqual(await r.fcall_ro('Counter.get', 1, 'io'), 5);
    assert.strictEqual(await r.fcall('Probe.set', 1, 'io', 'text'), null);
    assert.strictEqual(await r.fcall('Probe.get', 1, 'io'), 'text');
    assert.strictEqual(await r.fcall('Probe.get', 1, 'nothing'), null);
    const binary = Buffer.alloc(300000, 0).map((_, i) => i % 256);
    await r.fcall('Probe.set', 1, Buffer.from([0, 255, 13, 10]), binary);
    assert.ok((await r.fcallBuffer('Probe.get', 1, Buffer.from([0, 255, 13, 10]))).equals(binary));
    assert.strictEqual(await r.fcall('User.post', 1, 'io', 'hello'), 0);
    const [[author, when, text]] = await r.fcall_ro('User.timeline', 1, 'io', 10);
    assert.ok(author === 'io' && typeof when === 'number' && text === 'hello');
    for (let i = 0; i < 3; i++)
        assert.strictEqual(await r.fcall('Counter.add', 2, 'iok', 'the key', 1), 1);

    const fails = async (promise, words) => {
        const error = await promise.then(() => null, e => e);
        assert.ok(error && error.name === 'ReplyError' && error.message.includes(words), `${words}: ${error}`);
    };
    await fails(r.fcall('Nothing.at_all', 1, 'x'), 'UNKNOWN_TYPE');
    await fails(r.fcall('User.deliver', 1, 'x', 'y'), 'NOT_PUBLIC');
    await fails(r.fcall_ro('Counter.add', 1, 'x'), 'NOT_READ_ONLY');
    await fails(r.fcall('Probe.add_then_fail', 1, 'x'), 'on purpose');
    await fails(r.set('a', 'b'), 'start it with --cache');

    const inside = await r.fcall('Probe.fan', 1, 'iofan', 'add_then_fail', 'a', 'b');
    assert.ok(inside.length === 2 && inside.every(one => one instanceof Error), String(inside));

    const pipe = r.pipeline();
    for (let i = 0; i < 2000; i++) {
        pipe.fcall('Counter.add', 1, 'iopipe', 1);
        if (i === 1000)
            pipe.fcall('Counter.fly', 1, 'x');
    }
    const replies = await pipe.exec();
    assert.ok(replies.splice(1001, 1)[0][0] instanceof Error);
    replies.forEach(([error, value], i) => assert.ok(error === null && value === i + 1));

    // Transactions, pipelined and not: all is done, or an error and nothing is.
    const done = await r.multi().fcall('Counter.add', 1, 'iomulti', 1).fcall('Counter.add', 1, 'iomulti', 1).exec();
    assert.deepStrictEqual(done, [[null, 1], [null, 2]]);
    assert.strictEqual(await r.multi({ pipeline: false }), 'OK');
    assert.strictEqual(await r.fcall('Counter.add', 1, 'iomulti', 1), 'QUEUED');
    assert.deepStrictEqual(await r.exec(), [[null, 3]]);
    const bad = r.multi().fcall('Counter.add', 1, 'iobad', 1).set('a', 'b').exec();
    const refused = await bad.then(() => null, e => e);
    assert.ok(refused && refused.message.includes('EXECABORT'), String(refused));
    assert.strictEqual(await r.fcall('Counter.get', 1, 'iobad'), 0);
    await fails(r.watch('a'), 'WATCH TYPE/ID');
    await r.unwatch();
    await r.watch('Counter/iomulti');
    await r.fcall('Counter.add', 1, 'iomulti', 1);
    assert.strictEqual(await r.multi().fcall('Counter.add', 1, 'iomulti', 1).exec(), null);
    await r.watch('Counter/iomulti');
    assert.deepStrictEqual(await r.multi().fcall('Counter.add', 1, 'iomulti', 1).exec(), [[null, 5]]);

    const info = await r.info();
    assert.ok(/\r\nredis_mode:standalone\r\n/.test(info) && info.includes(`tcp_port:${port}`));
    assert.deepStrictEqual([await r.config('GET', 'appendonly')].flat(2).map(String).join().includes('appendonly'), true);
    await r.quit();

    const auto = new Redis({ port, enableAutoPipelining: true, retryStrategy: null });
    const values = await Promise.all(Array.from({ length: 200 }, () => auto.fcall('Counter.add', 1, 'ioauto')));
    assert.deepStrictEqual(values.sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i + 1));
    auto.disconnect();
    console.log(`ioredis ${version}`);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
