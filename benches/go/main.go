// Go's part of the comparison: the same workloads as src/work, and the same line of JSON.
//
// usage: benches-go WORKLOAD WORKERS SIZE
//
//	benches-go serve KIND WORKERS
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		fail("usage: benches-go WORKLOAD WORKERS SIZE")
	}
	if os.Args[1] == "serve" {
		workers, err := strconv.Atoi(os.Args[3])
		if err != nil {
			fail(err.Error())
		}
		serve(os.Args[2], workers)
	}
	workers, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fail(err.Error())
	}
	size, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fail(err.Error())
	}
	runtime.GOMAXPROCS(workers)
	if alone, ok := once[os.Args[1]]; ok {
		alone(size).print()
		return
	}
	work, ok := workloads[os.Args[1]]
	if !ok {
		fail("go has no " + os.Args[1])
	}
	work(max(size/10, 1))
	work(size).print()
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// Workloads that run once, without a warm-up of a tenth.
var once = map[string]func(int) *sample{
	"task_mem":    taskMem,
	"hog":         func(n int) *sample { return observe(n, 4, 100*time.Millisecond) },
	"hog_forever": func(n int) *sample { return observe(n, 2, time.Minute) },
	"sleepers":    sleepers,
}

var workloads = map[string]func(int) *sample{
	"spawn_join":         spawnJoin,
	"spawn_join_handles": spawnJoinHandles,
	"skynet":             skynet,
	"yield":              yield,
	"pingpong":           func(n int) *sample { return pingpong(1, n) },
	"pingpong_pairs":     func(n int) *sample { return pingpong(100, n) },
	"ring":               ring,
	"chan_spsc_unbuf":    func(n int) *sample { return channel(0, 1, 1, n) },
	"chan_spsc_128":      func(n int) *sample { return channel(128, 1, 1, n) },
	"chan_mpmc_unbuf":    func(n int) *sample { return channel(0, 4, 4, n) },
	"chan_mpmc_128":      func(n int) *sample { return channel(128, 4, 4, n) },
	"chan_mpsc_128":      func(n int) *sample { return channel(128, 8, 1, n) },
	"select2":            select2,
	"select8":            select8,
	"select_send":        selectSend,
	"sieve":              sieve,
	"sleep100k":          sleep,
	"timer_churn":        func(n int) *sample { return churn(n, false) },
	"timer_churn_yield":  func(n int) *sample { return churn(n, true) },
	"mutex":              mutex,
}

// ---- what a run costs

type meter struct {
	usage syscall.Rusage
	start time.Time
}

type sample struct {
	fields map[string]any
}

func start() *meter {
	m := new(meter)
	syscall.Getrusage(syscall.RUSAGE_SELF, &m.usage)
	m.start = time.Now()
	return m
}

func (m *meter) stop(ops int) *sample {
	wall := time.Since(m.start)
	var now syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &now)
	return &sample{map[string]any{
		"wall_ns": wall.Nanoseconds(),
		"ops":     ops,
		"cpu_s":   cpu(&now) - cpu(&m.usage),
		"vcsw":    now.Nvcsw - m.usage.Nvcsw,
		"ivcsw":   now.Nivcsw - m.usage.Nivcsw,
	}}
}

func (s *sample) with(key string, value any) *sample {
	s.fields[key] = value
	return s
}

func (s *sample) print() {
	s.fields["peak_kb"] = peak()
	line, err := json.Marshal(s.fields)
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(string(line))
}

func cpu(u *syscall.Rusage) float64 {
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// Not ru_maxrss, which a child inherits from its parent.
func peak() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kb, _ := strconv.Atoi(fields[1])
			return kb
		}
	}
	return 0
}

func resident() int {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err.Error())
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		fail(err.Error())
	}
	return pages * 4096
}

// ---- spawning

func spawnJoin(n int) *sample {
	m := start()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() { wg.Done() }()
	}
	wg.Wait()
	return m.stop(n)
}

// A goroutine has no handle; the nearest thing is a channel for its result.
func spawnJoinHandles(n int) *sample {
	m := start()
	handles := make([]chan int, n)
	for i := range handles {
		c := make(chan int, 1)
		handles[i] = c
		go func() { c <- i }()
	}
	sum := 0
	for _, c := range handles {
		sum += <-c
	}
	if sum != n*(n-1)/2 {
		fail("wrong sum")
	}
	return m.stop(n)
}

func skynet(n int) *sample {
	leaves := 1000
	for leaves*10 <= n {
		leaves *= 10
	}
	m := start()
	c := make(chan int, 1)
	go node(c, 0, leaves)
	if <-c != leaves*(leaves-1)/2 {
		fail("wrong sum")
	}
	return m.stop(1)
}

func node(c chan int, first, leaves int) {
	if leaves == 1 {
		c <- first
		return
	}
	children := make(chan int, 10)
	for i := 0; i < 10; i++ {
		go node(children, first+i*leaves/10, leaves/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	c <- sum
}

// ---- switching

func yield(n int) *sample {
	const tasks = 1000
	m := start()
	var wg sync.WaitGroup
	wg.Add(tasks)
	for t := 0; t < tasks; t++ {
		go func() {
			for i := 0; i < n; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return m.stop(tasks * n)
}

func pingpong(pairs, n int) *sample {
	m := start()
	var wg sync.WaitGroup
	wg.Add(2 * pairs)
	for p := 0; p < pairs; p++ {
		ping, pong := make(chan int), make(chan int)
		go func() {
			for i := 0; i < n; i++ {
				ping <- i
				if <-pong != i {
					fail("wrong pong")
				}
			}
			wg.Done()
		}()
		go func() {
			for i := 0; i < n; i++ {
				pong <- <-ping
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return m.stop(pairs * n)
}

func ring(hops int) *sample {
	const tasks = 1000
	m := start()
	done := make(chan struct{})
	first := make(chan int)
	in := first
	for t := 0; t < tasks; t++ {
		out := make(chan int)
		if t == tasks-1 {
			out = first
		}
		from := in
		go func() {
			for left := range from {
				if left == 0 {
					close(done)
					return
				}
				out <- left - 1
			}
		}()
		in = out
	}
	first <- hops
	<-done
	return m.stop(hops)
}

func mutex(n int) *sample {
	const tasks = 8
	m := start()
	var wg sync.WaitGroup
	wg.Add(tasks)
	var mu sync.Mutex
	total := 0
	for t := 0; t < tasks; t++ {
		go func() {
			for i := 0; i < n; i++ {
				mu.Lock()
				total++
				mu.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	if total != tasks*n {
		fail("wrong total")
	}
	return m.stop(total)
}

// ---- channels

func channel(capacity, senders, receivers, n int) *sample {
	m := start()
	c := make(chan int, capacity)
	var sending sync.WaitGroup
	sending.Add(senders)
	for s := 0; s < senders; s++ {
		go func() {
			for i := 0; i < n/senders; i++ {
				c <- i
			}
			sending.Done()
		}()
	}
	go func() {
		sending.Wait()
		close(c)
	}()
	counts := make(chan int, receivers)
	for r := 0; r < receivers; r++ {
		go func() {
			count := 0
			for range c {
				count++
			}
			counts <- count
		}()
	}
	total := 0
	for r := 0; r < receivers; r++ {
		total += <-counts
	}
	if total != n/senders*senders {
		fail("wrong count")
	}
	return m.stop(total)
}

// Sends without a select beside it; parked for ever in the end.
func produce() chan int {
	c := make(chan int)
	go func() {
		for i := 0; ; i++ {
			c <- i
		}
	}()
	return c
}

func select2(n int) *sample {
	m := start()
	a, b := produce(), produce()
	done := make(chan struct{})
	go func() {
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			}
		}
		close(done)
	}()
	<-done
	return m.stop(n)
}

func select8(n int) *sample {
	m := start()
	var cs [8]chan int
	for i := range cs {
		cs[i] = produce()
	}
	done := make(chan struct{})
	go func() {
		a, b, c, d, e, f, g, h := cs[0], cs[1], cs[2], cs[3], cs[4], cs[5], cs[6], cs[7]
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			case <-c:
			case <-d:
			case <-e:
			case <-f:
			case <-g:
			case <-h:
			}
		}
		close(done)
	}()
	<-done
	return m.stop(n)
}

func selectSend(n int) *sample {
	m := start()
	in := produce()
	out := make(chan int)
	drained := make(chan int)
	go func() {
		next := 0
		for v := range out {
			if v != next {
				fail("wrong value")
			}
			next++
		}
		drained <- next
	}()
	go func() {
		from, to := in, out
		sent, received := 0, 0
		for sent < n || received < n {
			select {
			case to <- sent:
				sent++
				if sent == n {
					to = nil
				}
			case v := <-from:
				if v != received {
					fail("wrong value")
				}
				received++
				if received == n {
					from = nil
				}
			}
		}
		close(out)
	}()
	if <-drained != n {
		fail("wrong count")
	}
	return m.stop(2 * n)
}

func sieve(n int) *sample {
	m := start()
	stop := make(chan struct{})
	c := make(chan int)
	go func() {
		for i := 2; ; i++ {
			select {
			case c <- i:
			case <-stop:
				return
			}
		}
	}()
	done := make(chan struct{})
	go func() {
		in := c
		prime := 0
		for i := 0; i < n; i++ {
			prime = <-in
			out := make(chan int)
			from, by := in, prime
			go func() {
				for i := range from {
					if i%by != 0 {
						out <- i
					}
				}
			}()
			in = out
		}
		if n == 2000 && prime != 17389 {
			fail("wrong prime")
		}
		close(done)
	}()
	<-done
	s := m.stop(1)
	close(stop)
	return s
}

// ---- timers

func sleep(n int) *sample {
	m := start()
	var wg sync.WaitGroup
	wg.Add(n)
	var asleep, most atomic.Int64
	for i := 0; i < n; i++ {
		go func() {
			now := asleep.Add(1)
			for {
				old := most.Load()
				if now <= old || most.CompareAndSwap(old, now) {
					break
				}
			}
			time.Sleep(10 * time.Millisecond)
			asleep.Add(-1)
			wg.Done()
		}()
	}
	wg.Wait()
	return m.stop(1).with("asleep", most.Load())
}

// Go's usual limit: a timer in a select, stopped when the operation was first.
func churn(n int, yields bool) *sample {
	const tasks = 100
	m := start()
	var wg sync.WaitGroup
	wg.Add(tasks)
	for t := 0; t < tasks; t++ {
		go func() {
			ready := make(chan struct{}, 1)
			for i := 0; i < n; i++ {
				timer := time.NewTimer(10 * time.Second)
				if yields {
					runtime.Gosched()
				}
				ready <- struct{}{}
				select {
				case <-ready:
				case <-timer.C:
					fail("ten seconds have not passed")
				}
				timer.Stop()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return m.stop(tasks * n)
}

// ---- memory

func taskMem(n int) *sample {
	park(1000)
	before := resident()
	m := start()
	park(n)
	bytes := resident() - before
	return m.stop(n).with("bytes", float64(bytes)/float64(n))
}

func park(n int) {
	c := make(chan int)
	var started atomic.Int64
	for i := 0; i < n; i++ {
		go func() {
			started.Add(1)
			<-c
		}()
	}
	for started.Load() < int64(n) {
		runtime.Gosched()
	}
}

// ---- fairness

func observe(millis, hogs int, turn time.Duration) *sample {
	// The collector stops the world, which a goroutine that spins delays; there is no garbage here.
	debug.SetGCPercent(-1)
	const tick = time.Millisecond
	limit := time.Duration(millis) * time.Millisecond
	m := start()
	var mu sync.Mutex
	var late []time.Duration
	go func() {
		for {
			due := time.Now().Add(tick)
			time.Sleep(tick)
			l := time.Since(due)
			mu.Lock()
			late = append(late, l)
			mu.Unlock()
		}
	}()
	end := time.Now().Add(limit)
	if turn == time.Minute {
		end = time.Now().Add(turn)
	}
	for h := 0; h < hogs; h++ {
		go func() {
			for time.Now().Before(end) {
				stop := time.Now().Add(turn)
				for time.Now().Before(stop) {
				}
				runtime.Gosched()
			}
		}()
	}
	time.Sleep(limit)
	mu.Lock()
	ticks := len(late)
	owed := time.Since(m.start)
	for _, l := range late {
		owed -= l + tick
	}
	late = append(late, max(owed-tick, 0))
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	ms := func(q float64) float64 {
		at := int(float64(len(late)-1)*q + 0.999999)
		return float64(late[at].Nanoseconds()) / 1e6
	}
	return m.stop(1).with("ticks", ticks).with("p50_ms", ms(0.5)).with("p99_ms", ms(0.99)).with("max_ms", ms(1))
}

// A hundred goroutines block their threads for a third of the time, in a system call that the runtime knows nothing of but its beginning; a
// client asks for an echo every millisecond.
func sleepers(millis int) *sample {
	const tasks = 100
	limit := time.Duration(millis) * time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	var ended atomic.Int64
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			fail(err.Error())
		}
		for i := 0; i < tasks; i++ {
			go func() {
				nap := syscall.NsecToTimespec(int64(limit / 3))
				for syscall.Nanosleep(&nap, &nap) == syscall.EINTR {
				}
				ended.Add(1)
			}()
		}
		buffer := make([]byte, 64)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			conn.Write(buffer[:n])
		}
	}()
	// The client is a thread of its own, outside the scheduler as far as Go lets it be.
	runtime.LockOSThread()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		fail(err.Error())
	}
	m := start()
	var waits []time.Duration
	all := time.Duration(0)
	for time.Since(m.start) < limit {
		client.SetReadDeadline(time.Now().Add(max(limit-time.Since(m.start), time.Millisecond)))
		asked := time.Now()
		client.Write(make([]byte, 32))
		_, err := io.ReadFull(client, make([]byte, 32))
		waits = append(waits, time.Since(asked))
		if all == 0 && ended.Load() == tasks {
			all = time.Since(m.start)
		}
		if err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ticks := len(waits) - 1
	sort.Slice(waits, func(i, j int) bool { return waits[i] < waits[j] })
	ms := func(q float64) float64 {
		at := int(float64(len(waits)-1)*q + 0.999999)
		return float64(waits[at].Nanoseconds()) / 1e6
	}
	s := m.stop(1).with("ticks", ticks).with("p50_ms", ms(0.5)).with("p99_ms", ms(0.99)).with("max_ms", ms(1))
	if all > 0 {
		s = s.with("all_ms", float64(all.Nanoseconds())/1e6)
	}
	return s
}
