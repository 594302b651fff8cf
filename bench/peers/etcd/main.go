// etcd_load: what bench_zk_load does, for etcd: puts and gets of keys of one folder, in a closed loop.  Prints one line of
// JSON.  A latency lasts from the call of the client to its return.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var (
	port        = flag.Int("port", 2379, "")
	workload    = flag.String("workload", "get", "fill, set, get (from the server that is asked, as ZooKeeper's) or mixed")
	nodes       = flag.Int("nodes", 1000, "")
	bytes       = flag.Int("bytes", 100, "")
	connections = flag.Int("connections", 1, "")
	outstanding = flag.Int("outstanding", 1, "of each connection")
	seconds     = flag.Float64("seconds", 1, "")
	warmUp      = flag.Float64("warm-up", 0, "seconds before what is measured")
)

func one(client *clientv3.Client, random *rand.Rand, value string) error {
	var err error
	key := fmt.Sprintf("/bench/%010d", random.Intn(*nodes))
	if *workload == "set" || (*workload == "mixed" && random.Intn(10) == 0) {
		_, err = client.Put(context.Background(), key, value)
		return err
	}
	got, err := client.Get(context.Background(), key, clientv3.WithSerializable())
	if err == nil && (len(got.Kvs) != 1 || len(got.Kvs[0].Value) != len(value)) {
		err = fmt.Errorf("%s has another value", key)
	}
	return err
}

func fill(client *clientv3.Client, value string) error {
	for i := 0; i < *nodes; i++ {
		if _, err := client.Put(context.Background(), fmt.Sprintf("/bench/%010d", i), value); err != nil {
			return err
		}
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "etcd_load:", err)
	os.Exit(1)
}

func main() {
	flag.Parse()
	value := string(make([]byte, *bytes))
	var clients []*clientv3.Client
	for i := 0; i < *connections; i++ {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("127.0.0.1:%d", *port)},
			DialTimeout: 10 * time.Second})
		if err != nil {
			fail(err)
		}
		clients = append(clients, client)
	}
	if *workload == "fill" {
		if err := fill(clients[0], value); err != nil {
			fail(err)
		}
	}
	begin := time.Now().Add(time.Duration(*warmUp * float64(time.Second)))
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	var lock sync.Mutex
	var all []float64
	var group sync.WaitGroup
	for i := 0; i < *connections**outstanding && *workload != "fill"; i++ {
		group.Add(1)
		go func(client *clientv3.Client, random *rand.Rand) {
			defer group.Done()
			var mine []float64
			for now := time.Now(); now.Before(end); now = time.Now() {
				if err := one(client, random, value); err != nil {
					fail(err)
				}
				if now.After(begin) {
					mine = append(mine, float64(time.Since(now).Nanoseconds())/1e3)
				}
			}
			lock.Lock()
			all = append(all, mine...)
			lock.Unlock()
		}(clients[i%*connections], rand.New(rand.NewSource(int64(i))))
	}
	group.Wait()
	sort.Float64s(all)
	at := func(share float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return all[int(share*float64(len(all)-1))]
	}
	line, _ := json.Marshal(map[string]float64{"replies": float64(len(all)), "throughput": float64(len(all)) / *seconds,
		"p50_us": at(0.5), "p99_us": at(0.99)})
	fmt.Println(string(line))
}
