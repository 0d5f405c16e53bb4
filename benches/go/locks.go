// Go's part of src/locks: what goroutines coordinate with beside channels.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func init() {
	for name, work := range map[string]func(int) *sample{
		"lock_alone":     lockAlone,
		"lock_yield":     lockYield,
		"rwlock_alone":   rwlockAlone,
		"rwlock_read":    rwlockRead,
		"rwlock_mostly":  func(n int) *sample { return rwlock(n, false) },
		"rwlock_yield":   func(n int) *sample { return rwlock(n, true) },
		"rwlock_work":    rwlockWork,
		"once_there":     onceThere,
		"barrier":        barrier,
		"cond":           cond,
		"sem_alone":      semAlone,
		"sem_yield":      semYield,
		"notify":         notify,
		"oneshot_same":   oneshotSame,
		"oneshot_across": oneshotAcross,
		"watch":          watch,
		"broadcast":      broadcast,
		"group_bare":     groupBare,
		"group_wait":     groupWait,
		"group_err":      groupErr,
	} {
		workloads[name] = work
	}
}

const contenders = 8

// Runs as many goroutines and waits for them.
func contend(work func()) {
	var wg sync.WaitGroup
	wg.Add(contenders)
	for t := 0; t < contenders; t++ {
		go func() {
			work()
			wg.Done()
		}()
	}
	wg.Wait()
}

func lockAlone(n int) *sample {
	var mu sync.Mutex
	total := 0
	m := start()
	for i := 0; i < n; i++ {
		mu.Lock()
		total++
		mu.Unlock()
	}
	if total != n {
		fail("wrong total")
	}
	return m.stop(n)
}

func lockYield(n int) *sample {
	var mu sync.Mutex
	total := 0
	m := start()
	contend(func() {
		for i := 0; i < n; i++ {
			mu.Lock()
			runtime.Gosched()
			total++
			mu.Unlock()
		}
	})
	if total != contenders*n {
		fail("wrong total")
	}
	return m.stop(total)
}

func rwlockAlone(n int) *sample {
	var mu sync.RWMutex
	m := start()
	for i := 0; i < n; i++ {
		mu.RLock()
		mu.RUnlock()
	}
	return m.stop(n)
}

func rwlockRead(n int) *sample {
	var mu sync.RWMutex
	value := 1
	m := start()
	contend(func() {
		for i := 0; i < n; i++ {
			mu.RLock()
			if value != 1 {
				fail("wrong value")
			}
			mu.RUnlock()
		}
	})
	return m.stop(contenders * n)
}

func rwlock(n int, yields bool) *sample {
	const writes = 32
	var mu sync.RWMutex
	total := 0
	m := start()
	contend(func() {
		for i := 0; i < n; i++ {
			if i%writes == 0 {
				mu.Lock()
				if yields {
					runtime.Gosched()
				}
				total++
				mu.Unlock()
			} else {
				mu.RLock()
				if yields {
					runtime.Gosched()
				}
				if total > contenders*n {
					fail("wrong total")
				}
				mu.RUnlock()
			}
		}
	})
	return m.stop(contenders * n)
}

// Reads, and computes for a microsecond after each.
func rwlockWork(n int) *sample {
	const computing = 4
	var mu sync.RWMutex
	m := start()
	var wg sync.WaitGroup
	wg.Add(computing)
	for t := 0; t < computing; t++ {
		go func() {
			for i := 0; i < n; i++ {
				mu.RLock()
				mu.RUnlock()
				for begin := time.Now(); time.Since(begin) < time.Microsecond; {
				}
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return m.stop(computing * n)
}

func onceThere(n int) *sample {
	var once sync.Once
	value, sum := 0, 0
	m := start()
	for i := 0; i < n; i++ {
		once.Do(func() { value = 1 })
		sum += value
	}
	if sum != n {
		fail("wrong sum")
	}
	return m.stop(n)
}

// Go has no barrier: this is the usual one.
func barrier(n int) *sample {
	var mu sync.Mutex
	all := sync.NewCond(&mu)
	here, round := 0, 0
	m := start()
	contend(func() {
		for i := 0; i < n; i++ {
			mu.Lock()
			here++
			if here == contenders {
				here = 0
				round++
				all.Broadcast()
			} else {
				for mine := round; mine == round; {
					all.Wait()
				}
			}
			mu.Unlock()
		}
	})
	return m.stop(contenders * n)
}

func cond(n int) *sample {
	var mu sync.Mutex
	changed := sync.NewCond(&mu)
	turn := 0
	m := start()
	var wg sync.WaitGroup
	wg.Add(2)
	for side := 0; side < 2; side++ {
		go func() {
			for i := 0; i < n; i++ {
				mu.Lock()
				for turn != side {
					changed.Wait()
				}
				turn = 1 - side
				mu.Unlock()
				changed.Signal()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	return m.stop(n)
}

// The semaphore of the standard library: a channel.
func semAlone(n int) *sample {
	permits := make(chan struct{}, 2)
	m := start()
	for i := 0; i < n; i++ {
		permits <- struct{}{}
		<-permits
	}
	return m.stop(n)
}

func semYield(n int) *sample {
	permits := make(chan struct{}, 2)
	m := start()
	contend(func() {
		for i := 0; i < n; i++ {
			permits <- struct{}{}
			runtime.Gosched()
			<-permits
		}
	})
	return m.stop(contenders * n)
}

// Keeps one notification, and does not wait to leave it.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func notify(n int) *sample {
	ping, pong := make(chan struct{}, 1), make(chan struct{}, 1)
	m := start()
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		for i := 0; i < n; i++ {
			<-ping
			tell(pong)
		}
		wg.Done()
	}()
	go func() {
		for i := 0; i < n; i++ {
			tell(ping)
			<-pong
		}
		wg.Done()
	}()
	wg.Wait()
	return m.stop(n)
}

func oneshotSame(n int) *sample {
	m := start()
	for i := 0; i < n; i++ {
		// Kept from the stack, where a channel that stays in the function would be.
		c := oneshot()
		c <- i
		if <-c != i {
			fail("wrong value")
		}
	}
	return m.stop(n)
}

//go:noinline
func oneshot() chan int {
	return make(chan int, 1)
}

// What travels between the two: the way to answer.
type baton chan baton

func oneshotAcross(n int) *sample {
	m := start()
	first := make(baton, 1)
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		for tx := <-first; tx != nil; {
			answer := make(baton, 1)
			tx <- answer
			tx = <-answer
		}
		wg.Done()
	}()
	go func() {
		tx := first
		for i := 0; i < n; i++ {
			answer := make(baton, 1)
			tx <- answer
			tx = <-answer
		}
		tx <- nil
		wg.Done()
	}()
	wg.Wait()
	return m.stop(n)
}

// A mutex, and a channel that is closed at each change.
type watched struct {
	mu      sync.Mutex
	value   int
	changed chan struct{}
}

func (w *watched) set(value int) {
	w.mu.Lock()
	w.value = value
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
}

func (w *watched) get() (int, chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value, w.changed
}

func watch(n int) *sample {
	m := start()
	w := &watched{changed: make(chan struct{})}
	var lap, over sync.WaitGroup
	over.Add(contenders)
	for t := 0; t < contenders; t++ {
		go func() {
			last := 0
			for last < n {
				value, changed := w.get()
				if value == last {
					<-changed
					continue
				}
				if value != last+1 {
					fail("wrong value")
				}
				last = value
				lap.Done()
			}
			over.Done()
		}()
	}
	for i := 1; i <= n; i++ {
		lap.Add(contenders)
		w.set(i)
		lap.Wait()
	}
	over.Wait()
	return m.stop(contenders * n)
}

// A channel for each receiver.
func broadcast(n int) *sample {
	const burst = 64
	m := start()
	var lap, over sync.WaitGroup
	over.Add(contenders)
	channels := make([]chan int, contenders)
	for t := range channels {
		channels[t] = make(chan int, 2*burst)
		go func(c chan int) {
			last := 0
			for value := range c {
				if value != last+1 {
					fail("wrong value")
				}
				last = value
				if value%burst == 0 {
					lap.Done()
				}
			}
			over.Done()
		}(channels[t])
	}
	for b := 0; b < n; b++ {
		lap.Add(contenders)
		for i := 1; i <= burst; i++ {
			for _, c := range channels {
				c <- b*burst + i
			}
		}
		lap.Wait()
	}
	for _, c := range channels {
		close(c)
	}
	over.Wait()
	return m.stop(contenders * burst * n)
}

const members = 100_000

func groupBare(n int) *sample {
	m := start()
	var sum atomic.Int64
	for r := 0; r < n; r++ {
		var wg sync.WaitGroup
		wg.Add(members)
		for i := 0; i < members; i++ {
			go func() {
				sum.Add(1)
				wg.Done()
			}()
		}
		wg.Wait()
	}
	return total(m, &sum, n)
}

func groupWait(n int) *sample {
	m := start()
	var sum atomic.Int64
	for r := 0; r < n; r++ {
		var wg sync.WaitGroup
		for i := 0; i < members; i++ {
			wg.Go(func() { sum.Add(1) })
		}
		wg.Wait()
	}
	return total(m, &sum, n)
}

// The errgroup of golang.org/x/sync without its limit and its context.
type errgroup struct {
	wg   sync.WaitGroup
	once sync.Once
	err  error
}

func (g *errgroup) start(f func() error) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		if err := f(); err != nil {
			g.once.Do(func() { g.err = err })
		}
	}()
}

func groupErr(n int) *sample {
	m := start()
	var sum atomic.Int64
	for r := 0; r < n; r++ {
		g := new(errgroup)
		for i := 0; i < members; i++ {
			g.start(func() error {
				sum.Add(1)
				return nil
			})
		}
		g.wg.Wait()
		if g.err != nil {
			fail(g.err.Error())
		}
	}
	return total(m, &sum, n)
}

func total(m *meter, sum *atomic.Int64, n int) *sample {
	sample := m.stop(n * members)
	if sum.Load() != int64(n*members) {
		fail("wrong total")
	}
	return sample
}
