// keeper_node_client.cjs PORT: what a program that uses node-zookeeper-client does.  The node is killed after "ready".
const assert = require('assert');
const zookeeper = require('node-zookeeper-client');

const client = zookeeper.createClient(`127.0.0.1:${process.argv[2]}`, { sessionTimeout: 10000, spinDelay: 100 });
const call = (method, ...args) => new Promise((resolve, reject) =>
    client[method](...args, (error, ...got) => error ? reject(error) : resolve(got)));
const again = async attempt => {
    for (let i = 0; ; i++)
        try {
            return await attempt();
        } catch (error) {
            if (i === 100 || error.name !== 'CONNECTION_LOSS')
                throw error;
            await new Promise(go => setTimeout(go, 100));
        }
};

async function main() {
    await call('create', '/js', Buffer.from('one'));
    await call('setData', '/js', Buffer.from('two'), 0);
    const [data, stat] = await call('getData', '/js');
    assert.strictEqual(data.toString(), 'two');
    assert.strictEqual(stat.version, 1);
    await assert.rejects(call('setData', '/js', Buffer.from('x'), 0), error => error.name === 'BAD_VERSION');
    const [path] = await call('create', '/js/lock-', null, zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL);
    assert.strictEqual(path, '/js/lock-0000000000');
    await call('create', '/js/other');
    assert.deepStrictEqual((await call('getChildren', '/js'))[0].sort(), ['lock-0000000000', 'other']);
    const results = await new Promise((resolve, reject) => client.transaction().create('/js/t').setData('/js', null, -1)
        .remove('/js/other').commit((error, got) => error ? reject(error) : resolve(got)));
    assert.strictEqual(results.length, 3);

    const event = new Promise(resolve => client.exists('/js/flag', resolve, () => console.log('ready')));
    assert.strictEqual((await event).getName(), 'NODE_CREATED'); // by the test, when the node is there again
    assert.ok((await again(() => call('exists', path)))[0], 'the ephemeral has outlived the kill');
    await again(() => call('remove', '/js/t', -1));
    client.close();
    console.log('done');
}

client.once('connected', () => main().catch(error => {
    console.error(error);
    process.exit(1);
}));
client.connect();
