// messages.mjs PORT CLIENTS SECONDS: BullMQ on the Redis at PORT.  CLIENTS loops add a job each, one after the other, for
// SECONDS, while a worker in this process runs CLIENTS jobs at once; then all that were added are run.  A job counts one
// on a key of Redis, as cairn's and Restate's boxes do.  Prints one line of JSON: how many, and the seconds until all had run.
// Each job's completion is BullMQ's own, in Redis; completed jobs are removed (its default would keep all of them).
import { Queue, Worker } from "bullmq";
import Redis from "ioredis";

const [port, clients, seconds] = process.argv.slice(2).map(Number);
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
const store = new Redis(connection);
const queue = new Queue("boxes", { connection, defaultJobOptions: { removeOnComplete: true } });
let completed = 0, added = 0, allRun;

const worker = new Worker("boxes", async (job) => store.incr(`taken:${job.data.box}`), { connection, concurrency: clients });
worker.on("completed", () => {
  completed++;
  if (allRun && completed === added) allRun();
});
worker.on("failed", (job, error) => {
  console.error(`a job failed: ${error.message}`);
  process.exit(1);
});
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);

const start = performance.now(), stop = start + seconds * 1000;
await Promise.all(Array.from({ length: clients }, async () => {
  while (performance.now() < stop) {
    await queue.add("take", { box: Math.floor(Math.random() * 10000) });
    added++;
  }
}));
const adding = (performance.now() - start) / 1000;
if (completed < added) await new Promise((resolve) => (allRun = resolve));
const all = (performance.now() - start) / 1000;
console.log(JSON.stringify({ messages: added, sending_s: adding, seconds: all }));
process.exit(0);
