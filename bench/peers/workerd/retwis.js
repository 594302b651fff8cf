// ReTwis as Durable Objects: the logic of functions/retwis/retwis.c for what the benchmark calls.
//
// Equal: an object per user; a post goes into the author's own posts and timeline, and is delivered to every follower
// by a call of its own, all at once; the newest 100 entries are kept; replies and calls wait for the disk (workerd's
// output gates).  Not equal: JavaScript in V8 and a SQLite database per object; workerd keeps its defaults.
// POST /User/ID/METHOD with a JSON array of arguments, as cairn's HTTP takes it.
import { DurableObject } from "cloudflare:workers";

const TIMELINE_MAX = 100;

export class User extends DurableObject {
  constructor(context, environment) {
    super(context, environment);
    this.sql = context.storage.sql;
    this.sql.exec(`
      CREATE TABLE IF NOT EXISTS profile (name TEXT);
      CREATE TABLE IF NOT EXISTS posts (n INTEGER PRIMARY KEY, author TEXT, ms INTEGER, text TEXT);
      CREATE TABLE IF NOT EXISTS timeline (n INTEGER PRIMARY KEY, author TEXT, ms INTEGER, text TEXT);
      CREATE TABLE IF NOT EXISTS following (id TEXT PRIMARY KEY);
      CREATE TABLE IF NOT EXISTS followers (id TEXT PRIMARY KEY);
      CREATE TABLE IF NOT EXISTS blocked (id TEXT PRIMARY KEY);`);
  }

  user(id) {
    return this.env.USERS.get(this.env.USERS.idFromName(id));
  }

  create(me, name) {
    this.sql.exec("DELETE FROM profile");
    this.sql.exec("INSERT INTO profile VALUES (?)", name);
    return null;
  }

  async follow(me, whom) {
    if (me === whom) throw new Error("nobody follows themselves");
    this.sql.exec("INSERT OR REPLACE INTO following VALUES (?)", whom);
    await this.user(whom).addFollower(me);
    return 1;
  }

  addFollower(who) {
    if (this.sql.exec("SELECT id FROM blocked WHERE id = ?", who).toArray().length > 0) throw new Error("blocked");
    this.sql.exec("INSERT OR REPLACE INTO followers VALUES (?)", who);
  }

  deliver(author, ms, text) {
    this.sql.exec("INSERT INTO timeline (author, ms, text) VALUES (?, ?, ?)", author, ms, text);
    this.sql.exec("DELETE FROM timeline WHERE n <= (SELECT MAX(n) FROM timeline) - ?", TIMELINE_MAX);
  }

  async post(me, text) {
    const ms = Date.now();
    const followers = this.sql.exec("SELECT id FROM followers").toArray();
    this.sql.exec("INSERT INTO posts (author, ms, text) VALUES (?, ?, ?)", me, ms, text);
    this.deliver(me, ms, text);
    await Promise.all(followers.map(({ id }) => this.user(id).deliver(me, ms, text)));
    return followers.length;
  }

  timeline(me, n) {
    return this.sql.exec("SELECT author, ms, text FROM timeline ORDER BY n DESC LIMIT ?", n).toArray()
      .map(({ author, ms, text }) => [author, ms, text]);
  }
}

const METHODS = new Set(["create", "follow", "post", "timeline"]);

export default {
  async fetch(request, environment) {
    const [, type, id, method] = new URL(request.url).pathname.split("/");
    if (type !== "User" || !METHODS.has(method)) return new Response("no such method\n", { status: 404 });
    const args = await request.json();
    const user = environment.USERS.get(environment.USERS.idFromName(id));
    return Response.json(await user[method](id, ...args));
  },
};
