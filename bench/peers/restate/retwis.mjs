// ReTwis as Restate virtual objects: the logic of functions/retwis/retwis.c for what the benchmark calls.
//
// Equal: an object per user; a post goes into the author's own posts and timeline, and is delivered to every follower
// by a call of its own, all at once, and their ends are waited for; the newest 100 entries are kept; everything is
// journalled before it is answered.
// Not equal: JavaScript in a process of its own, to which Restate sends an object's state with every call; entries
// are written one key each, so that a call writes no more than it changes.  Restate keeps its defaults (with fsync).
// A virtual object does nothing else while it waits for a call, so two users who post to each other would wait for ever:
// what others call lies in a second object per user, Wall, which calls nobody.
// Restate's ingress takes POST /User/ID/METHOD with the argument as JSON.
import * as restate from "@restatedev/restate-sdk";

const TIMELINE_MAX = 100;

// The SDK uses it; Node.js has it from version 22 on.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
};

async function append(ctx, list, entry, most) {
  const end = (await ctx.get(list + ".end")) ?? 0;
  ctx.set(`${list}.${end}`, entry);
  ctx.set(list + ".end", end + 1);
  if (end >= most) ctx.clear(`${list}.${end - most}`);
}

const wall = (ctx, id) => ctx.objectClient({ name: "Wall" }, id);

const Wall = restate.object({
  name: "Wall",
  handlers: {
    addFollower: async (ctx, who) => {
      if ((await ctx.get(`blocked.${who}`)) !== null) throw new restate.TerminalError("blocked");
      const followers = (await ctx.get("followers")) ?? [];
      if (!followers.includes(who)) ctx.set("followers", [...followers, who]);
    },

    deliver: async (ctx, entry) => {
      await append(ctx, "timeline", entry, TIMELINE_MAX);
    },

    followers: restate.handlers.object.shared(async (ctx) => (await ctx.get("followers")) ?? []),

    timeline: restate.handlers.object.shared(async (ctx, n) => {
      const end = (await ctx.get("timeline.end")) ?? 0;
      const entries = [];
      for (let i = end - 1; i >= 0 && i >= end - Math.min(n, TIMELINE_MAX); i--)
        entries.push(await ctx.get(`timeline.${i}`));
      return entries;
    }),
  },
});

const User = restate.object({
  name: "User",
  handlers: {
    create: async (ctx, name) => {
      ctx.set("profile", name);
    },

    follow: async (ctx, whom) => {
      if (whom === ctx.key) throw new restate.TerminalError("nobody follows themselves");
      ctx.set(`following.${whom}`, "");
      await wall(ctx, whom).addFollower(ctx.key);
      return 1;
    },

    post: async (ctx, text) => {
      const entry = [ctx.key, await ctx.date.now(), text];
      const followers = await wall(ctx, ctx.key).followers();
      await append(ctx, "posts", entry, Infinity);
      await restate.RestatePromise.all([ctx.key, ...followers].map((id) => wall(ctx, id).deliver(entry)));
      return followers.length;
    },

    timeline: restate.handlers.object.shared(async (ctx, n) => wall(ctx, ctx.key).timeline(n)),
  },
});

restate.serve({ services: [User, Wall], port: Number(process.argv[2]) });
