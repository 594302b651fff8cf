/* faster.cc - FASTER, Microsoft's C++ store with a hash index and a hybrid log (Chandramouli et al., SIGMOD 2018), as
 * its own benchmark uses it.  Its sources are those that tools/faster fetches; they are compiled as its own release
 * build is (-O3), but without its assertions, which cairn keeps.
 *
 * Equal: keys of 16 bytes are compared in full and hashed by XXH3, as in cairn; values are of variable length; one
 * budget of memory: the index has a bucket for each two keys, as in FASTER's benchmark, and the log in memory has the
 * rest in its pages of 32 MiB.  All that is loaded fits the mutable part of its log, so that updates are in place
 * (cairn keeps less of its budget mutable, and so appends some of them again).
 * Not equal, in FASTER's favour: it keeps nothing on a disk.  Its device is the null device, its log is never
 * written, no checkpoint is made, and what does not fit its memory is refused here.  The 128 MiB that it takes for
 * overflow buckets are in no budget.  It has no batches: loading is put by put.  Keys are of a fixed size, known when
 * it is compiled.  With one thread its values are read without a copy and written without a lock; with two, no two
 * threads ever meet on a key.
 * Not equal, in cairn's favour: it asks the system for huge pages, FASTER takes memory as malloc gives it, which may be
 * told to do the same (bench/suite/engines.py does).  With more threads, any session can reach any key, so that values
 * are guarded by a sequence lock (as in FASTER's own C interface) and a read copies them; cairn has a shard for each.
 *
 * Sessions as FASTER's benchmark has them: a thread that uses the store has one, refreshes it every 64 operations,
 * and completes what is pending every 1600, or at once if an operation is. */
#include "core/faster.h"
#include "device/null_disk.h"

#include <atomic>
#include <cstring>
#define XXH_INLINE_ALL
#include <xxhash.h>

extern "C" {
#include "stores.h"
}

namespace core = FASTER::core;

namespace
{

enum : uint64_t { REFRESH_EACH = 64, COMPLETE_EACH = 1600, BUCKET_BYTES = 64, KEYS_OF_A_BUCKET = 2 };

class Key
{
  public:
    explicit Key(struct cairn_bytes key)
    {
        if (key.size != KEY_BYTES)
            die("faster", "keys have 16 bytes");
        memcpy(bytes, key.data, KEY_BYTES);
    }

    static constexpr uint32_t size()
    {
        return KEY_BYTES;
    }

    core::KeyHash GetHash() const
    {
        return core::KeyHash{XXH3_64bits(bytes, KEY_BYTES)};
    }

    bool operator==(const Key &other) const
    {
        return memcmp(bytes, other.bytes, KEY_BYTES) == 0;
    }

    bool operator!=(const Key &other) const
    {
        return !(*this == other);
    }

  private:
    alignas(8) uint8_t bytes[KEY_BYTES];
};

/* `length` bytes follow.  The sequence is odd while they are written, and REPLACED when a newer record has them. */
struct Value {
    static constexpr uint32_t REPLACED = UINT32_MAX;
    std::atomic<uint32_t> sequence;
    uint32_t length;

    static uint32_t bytes_for(size_t length)
    {
        return static_cast<uint32_t>(sizeof(Value) + length);
    }

    uint32_t size() const
    {
        return bytes_for(length);
    }

    uint8_t *bytes()
    {
        return reinterpret_cast<uint8_t *>(this + 1);
    }

    const uint8_t *bytes() const
    {
        return reinterpret_cast<const uint8_t *>(this + 1);
    }
};

using Faster = core::FasterKv<Key, Value, FASTER::device::NullDisk>;

} // namespace

struct store {
    Faster *faster;
    bool shared, joined;
    uint64_t operations; /* of this thread's session */
    uint8_t *copy;       /* the value that get has handed out, if it is shared */
    size_t copy_room;
};

namespace
{

class Read : public core::IAsyncContext
{
  public:
    typedef Key key_t;
    typedef Value value_t;

    Read(struct store *store, struct cairn_bytes key) : store_(store), key_(key)
    {
    }

    const Key &key() const
    {
        return key_;
    }

    /* What cannot change any more, or only through this thread; it stays where it is until the session is refreshed. */
    void Get(const Value &value)
    {
        found = cairn_bytes(value.bytes(), value.length);
    }

    void GetAtomic(const Value &value)
    {
        uint32_t before, after;

        if (!store_->shared) {
            Get(value);
            return;
        }
        if (store_->copy_room < value.length) {
            store_->copy = static_cast<uint8_t *>(realloc(store_->copy, value.length));
            store_->copy_room = value.length;
        }
        do {
            before = value.sequence.load(std::memory_order_acquire);
            memcpy(store_->copy, value.bytes(), value.length);
            std::atomic_thread_fence(std::memory_order_acquire);
            after = value.sequence.load(std::memory_order_relaxed);
        } while (before != after || (before != Value::REPLACED && before & 1));
        found = cairn_bytes(store_->copy, value.length);
    }

    struct cairn_bytes found = {};

  protected:
    core::Status DeepCopy_Internal(core::IAsyncContext *&copy) override
    {
        return core::IAsyncContext::DeepCopy_Internal(*this, copy);
    }

  private:
    struct store *store_;
    Key key_;
};

class Upsert : public core::IAsyncContext
{
  public:
    typedef Key key_t;
    typedef Value value_t;

    Upsert(bool shared, struct cairn_bytes key, struct cairn_bytes value) : shared_(shared), key_(key), value_(value)
    {
    }

    const Key &key() const
    {
        return key_;
    }

    uint32_t value_size() const
    {
        return Value::bytes_for(value_.size);
    }

    /* Into a new record. */
    void Put(Value &value)
    {
        value.sequence.store(0, std::memory_order_relaxed);
        value.length = static_cast<uint32_t>(value_.size);
        memcpy(value.bytes(), value_.data, value_.size);
    }

    /* In place; false: a new record is to be made. */
    bool PutAtomic(Value &value)
    {
        uint32_t sequence;

        if (!shared_) {
            if (value.length != value_.size)
                return false;
            memcpy(value.bytes(), value_.data, value_.size);
            return true;
        }
        for (sequence = value.sequence.load(std::memory_order_relaxed);;) {
            if (sequence == Value::REPLACED)
                return false;
            if (sequence & 1)
                sequence = value.sequence.load(std::memory_order_relaxed);
            else if (value.sequence.compare_exchange_weak(sequence, sequence + 1, std::memory_order_acquire))
                break;
        }
        if (value.length != value_.size) {
            value.sequence.store(Value::REPLACED, std::memory_order_release);
            return false;
        }
        memcpy(value.bytes(), value_.data, value_.size);
        sequence += 2;
        value.sequence.store(sequence == Value::REPLACED - 1 ? 0 : sequence, std::memory_order_release);
        return true;
    }

  protected:
    core::Status DeepCopy_Internal(core::IAsyncContext *&copy) override
    {
        return core::IAsyncContext::DeepCopy_Internal(*this, copy);
    }

  private:
    bool shared_;
    Key key_;
    struct cairn_bytes value_;
};

/* All is in memory: nothing ends but in the call itself, or in CompletePending(true) right behind it. */
void on_end(core::IAsyncContext *, core::Status status)
{
    if (status != core::Status::Ok)
        die("faster", "an operation failed later");
}

void before_operation(struct store *store)
{
    if (store->operations++ % REFRESH_EACH == 0) {
        store->faster->Refresh();
        if (store->operations % COMPLETE_EACH == 1)
            store->faster->CompletePending(false);
    }
}

uint64_t buckets_for(uint64_t keys)
{
    uint64_t buckets = 1;

    while (buckets < keys / KEYS_OF_A_BUCKET)
        buckets *= 2;
    return buckets;
}

struct store *faster_open(const struct store_options *options)
{
    static const double MUTABLE_PART = 0.9;
    const uint64_t PAGE_BYTES = core::Address::kMaxOffset + UINT64_C(1);
    uint64_t buckets = buckets_for(options->keys), index_bytes = buckets * BUCKET_BYTES, pages, record_bytes;
    struct store *store = new struct store();

    if (options->log != LOG_OFF)
        die("faster", "has no log of writes: --log off");
    pages = options->memory_bytes > index_bytes ? (options->memory_bytes - index_bytes) / PAGE_BYTES : 0;
    record_bytes =
        core::Record<Key, Value>::size(KEY_BYTES, Value::bytes_for(options->data_bytes / options->keys - KEY_BYTES));
    if ((static_cast<uint64_t>(MUTABLE_PART * static_cast<double>(pages)) - 1) * PAGE_BYTES <
            options->keys * record_bytes ||
        pages < 6)
        die("faster", "keeps all in memory here, and that is too small: more --memory or less --keys");
    store->faster = new Faster(buckets, pages * PAGE_BYTES, "", MUTABLE_PART);
    store->shared = options->threads > 1;
    return store;
}

struct store *faster_join(struct store *first)
{
    struct store *store = new struct store();

    store->faster = first->faster;
    store->shared = store->joined = true;
    return store;
}

void faster_close(struct store *store)
{
    if (!store->joined)
        delete store->faster;
    free(store->copy);
    delete store;
}

void faster_enter(struct store *store)
{
    store->faster->StartSession();
}

void faster_leave(struct store *store)
{
    store->faster->CompletePending(true);
    store->faster->StopSession();
}

bool faster_get(struct store *store, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    Read context{store, key};
    core::Status status;

    before_operation(store);
    status = store->faster->Read(context, on_end, 1);
    if (status == core::Status::NotFound)
        return false;
    if (status != core::Status::Ok)
        die("faster", "a read did not find its record in memory");
    *ret_value = context.found;
    return true;
}

void faster_put(struct store *store, struct cairn_bytes key, struct cairn_bytes value)
{
    Upsert context{store->shared, key, value};
    core::Status status;

    before_operation(store);
    status = store->faster->Upsert(context, on_end, 1);
    if (status == core::Status::Pending)
        store->faster->CompletePending(true);
    else if (status != core::Status::Ok)
        die("faster", "an upsert failed");
}

void faster_write(struct store *store, const struct store_put *puts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        faster_put(store, puts[i].key, puts[i].value);
}

struct store_ops make_ops()
{
    struct store_ops ops = {};

    ops.name = "faster";
    ops.open = faster_open;
    ops.close = faster_close;
    ops.join = faster_join;
    ops.enter = faster_enter;
    ops.leave = faster_leave;
    ops.get = faster_get;
    ops.put = faster_put;
    ops.write = faster_write;
    return ops;
}

} // namespace

extern "C" const struct store_ops faster_ops = make_ops();
