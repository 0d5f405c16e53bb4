// The servers: benches-go serve KIND WORKERS. The port goes to standard output; the process ends when its standard input does.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func serve(kind string, workers int) {
	runtime.GOMAXPROCS(workers)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	if kind == "udp" || kind == "udp_batch" {
		udp()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	var handler func(net.Conn)
	switch kind {
	case "echo":
		handler = echo
	case "lazy":
		handler = lazy
	case "httpmin":
		handler = httpmin
	case "proxy":
		handler = proxy
	case "http":
		fail(http.Serve(listener, http.HandlerFunc(hello)).Error())
	default:
		fail("no server " + kind)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fail(err.Error())
		}
		go handler(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 1024)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Waits for readability without a buffer, by way of the raw descriptor.
func lazy(conn net.Conn) {
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	for {
		var bytes []byte
		failed := true
		err := raw.Read(func(fd uintptr) bool {
			var again bool
			bytes, again, failed = take(int(fd))
			return !again
		})
		if err != nil || failed || len(bytes) == 0 {
			return
		}
		if _, err := conn.Write(bytes); err != nil {
			return
		}
	}
}

func take(fd int) (bytes []byte, again, failed bool) {
	var buffer [1024]byte
	n, err := syscall.Read(fd, buffer[:])
	if err == syscall.EAGAIN {
		return nil, true, false
	}
	if err != nil {
		return nil, false, true
	}
	return append([]byte(nil), buffer[:n]...), false, false
}

var answer = []byte("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n" +
	"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\nHello, World!")

func httpmin(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 1024)
	have := 0
	for {
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return
		}
		have += n
		for {
			at := bytes.Index(buffer[:have], []byte("\r\n\r\n"))
			if at < 0 {
				break
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
			have = copy(buffer, buffer[at+4:have])
		}
	}
}

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(13))
	io.WriteString(w, "Hello, World!")
}

// Copies both ways, and passes an end on. Between two TCP connections io.Copy splices.
func proxy(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", "127.0.0.1:"+os.Getenv("BENCHES_TARGET"))
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{})
	oneWay := func(to, from net.Conn) {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	}
	go oneWay(server, client)
	go oneWay(client, server)
	<-ended
	<-ended
}

// One socket, one goroutine, one datagram at a time: the standard library has no batches.
func udp() {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(conn.LocalAddr().(*net.UDPAddr).Port)
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			fail(err.Error())
		}
		if _, err := conn.WriteToUDPAddrPort(buffer[:n], from); err != nil {
			fail(err.Error())
		}
	}
}
