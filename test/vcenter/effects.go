package main

import (
	"flag"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// What disks cost, as a model: every delta file holds as much, a base its capacity; a merge moves a delta, a promotion copies all that the
// disk shows. Nothing of it was measured on a real vCenter.
const deltaBytes = 16 << 20

var (
	copiedBytes atomic.Int64
	copyMibps   = flag.Int("copy-mibps", 0, "how fast the model copies; 0 takes no time")
)

func copies(bytes int64) {
	copiedBytes.Add(bytes)
	if *copyMibps > 0 {
		time.Sleep(time.Duration(bytes/int64(*copyMibps)*1000>>20) * time.Millisecond)
	}
}

func tellCopied(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%d", copiedBytes.Load()) }
