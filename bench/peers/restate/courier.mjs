// What bench/suite/messages.py and durable.py ask of Restate: one-way calls, and a handler of three durable steps.
//
// Box is a virtual object; a one-way call of it is taken by Restate's ingress (POST /Box/ID/take/send), which answers when
// it is durable.  Job runs three steps by ctx.run, each journalled before the next; its steps do nothing, while cairn's are
// calls of another object that write.
// GET on the second port tells how many calls Box has taken since the start.
import * as http from "node:http";
import * as restate from "@restatedev/restate-sdk";

// The SDK uses it; Node.js has it from version 22 on.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
};

const STEPS = 3;
let takenInAll = 0;

const Box = restate.object({
  name: "Box",
  handlers: {
    take: async (ctx) => {
      const taken = ((await ctx.get("taken")) ?? 0) + 1;
      ctx.set("taken", taken);
      takenInAll++;
      return taken;
    },
  },
});

const Job = restate.object({
  name: "Job",
  handlers: {
    run: async (ctx) => {
      const done = ((await ctx.get("done")) ?? 0) + 1;
      for (let i = 0; i < STEPS; i++) await ctx.run(`step ${i}`, () => i);
      ctx.set("done", done);
      return done;
    },
  },
});

http.createServer((request, response) => response.end(String(takenInAll))).listen(Number(process.argv[3]), "127.0.0.1");
restate.serve({ services: [Box, Job], port: Number(process.argv[2]) });
