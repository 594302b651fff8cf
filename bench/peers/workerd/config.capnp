# ReTwis on workerd: one Durable Object per user, its state in SQLite on the local disk.
# The benchmark overrides socket and folder: --socket-addr http=127.0.0.1:PORT --directory-path state=DIR
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "retwis", worker = .retwis),
    (name = "state", disk = (path = "state", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "retwis")],
);

const retwis :Workerd.Worker = (
  modules = [(name = "retwis.js", esModule = embed "retwis.js")],
  compatibilityDate = "2025-01-01",
  durableObjectNamespaces = [(className = "User", uniqueKey = "retwis", enableSql = true)],
  durableObjectStorage = (localDisk = "state"),
  bindings = [(name = "USERS", durableObjectNamespace = "User")],
);
