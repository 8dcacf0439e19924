// Command guest has control flow of every kind, for the tests: loops in loops, jumps
// over and out of them, switches, recursion, deferred functions that recover, stacks
// that grow, other goroutines that run in the middle of a function, and calls to the
// host, which calls back.
package main

import (
	"runtime"
	"sort"
	"strconv"
	"strings"
)

func main() {}

//go:wasmexport loops
func loops(a, b uint32) (sum uint32) {
outer:
	for i := range a % 40 {
		for j := uint32(0); ; j++ {
			switch {
			case j == i*3:
				continue outer
			case (i^j+b)%17 == 3:
				break outer
			case j%5 == b%5:
				sum += i * j
				continue
			case sum%7 == 6:
				sum ^= b
			}
			sum++
		}
	}
	for steps := 0; sum > 1000 && steps < 50; steps++ {
		if sum%2 == 0 {
			sum /= 2
		} else {
			sum = sum*3/4 + 1
		}
	}
	return sum
}

//go:wasmexport jumps
func jumps(a, b uint32) uint32 {
	n, steps := a%100, 0
again:
	if steps++; steps > 60 {
		return n + 7<<20
	}
	if n%2 == 1 {
		n += b % 7
		goto odd
	}
	n /= 2
	if n > 3 {
		goto again
	}
	return n + uint32(steps)<<8
odd:
	if n > 200 {
		return n + uint32(steps)<<16
	}
	n += 3
	goto again
}

// twoBeginnings has a loop that is entered in its middle.
//
//go:wasmexport twoBeginnings
func twoBeginnings(a, b uint32) uint32 {
	x, y := a%10, b%10
	if x > 4 {
		goto second
	}
first:
	x += 3
second:
	y += x
	if y < 100 {
		goto first
	}
	return x*1000 + y
}

//go:wasmexport texts
func texts(a, b uint32) (sum uint32) {
	var words []string
	for i := range a % 20 {
		words = append(words, strings.Repeat(strconv.Itoa(int(i*b%97)), int(i%3)))
	}
	sort.Strings(words)
	seen := map[string]int{}
	for _, w := range strings.Split(strings.Join(words, ","), ",") {
		seen[w]++
		for _, c := range w {
			sum = sum*31 + uint32(c)
		}
	}
	return sum + uint32(len(seen))
}

// ask asks the host, which calls nested with a before it adds b.
//
//go:wasmimport test ask
func ask(a uint32, b uint64) uint32

// asks goes on from what the host says, with the stack elsewhere now and then.
//
//go:wasmexport asks
func asks(a, b uint32) (sum uint32) {
	before := a ^ b
	for i := range a%5 + 1 {
		if got := ask(i*(b%40), uint64(sum)); got%3 == 0 {
			sum += got
		} else {
			sum ^= got + before
		}
	}
	return sum + before
}

//go:wasmexport nested
func nested(a, b uint32) uint32 { return deep(a%120) + b }

func fibonacci(n uint32) uint32 {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

//go:wasmexport recursion
func recursion(a, b uint32) uint32 { return fibonacci(a%15) + b }

type failure uint32

//go:wasmexport recovers
func recovers(a, b uint32) (result uint32) {
	steps := []uint32{1, 2, 3}
	for i := range a % 4 {
		func() {
			before := result + i
			defer func() {
				switch p := recover().(type) {
				case nil:
					result += before
				case failure:
					result += uint32(p) * 3
				case runtime.Error:
					result += 1000
				}
			}()
			switch (b + i) % 5 {
			case 0:
				panic(failure(i + 7))
			case 1:
				result += steps[(a+i)%5] // beyond the end now and then
			case 2:
				result += 10 / (b % 3)
			case 3:
				var none *[4]uint32
				if a%2 == 0 {
					none = &[4]uint32{1, 2, 3, 4}
				}
				result += none[i]
			}
		}()
	}
	return result
}

//go:noinline
func deep(n uint32) (sum uint32) {
	var frame [200]uint32
	for i := range frame {
		frame[i] = n * uint32(i)
	}
	if n > 0 {
		sum = deep(n - 1)
	}
	for _, v := range frame {
		sum = sum*3 + v
	}
	return sum
}

// grows moves the stack in the middle of a loop, on a goroutine whose stack is small.
//
//go:wasmexport grows
func grows(a, b uint32) (sum uint32) {
	done := false
	go func() {
		for i := range a%5 + 1 {
			x, y := sum+i, b^i
			sum = deep(20*i)*x + y
		}
		done = true
	}()
	for !done {
		runtime.Gosched()
	}
	return sum
}

// yields lets other goroutines run in the middle of loops.
//
//go:wasmexport yields
func yields(a, b uint32) uint32 {
	var shared uint32
	left := a%4 + 1
	for n := range left {
		go func() {
			for i := range b % 6 {
				shared = shared*5 + n*i
				runtime.Gosched()
				if shared%11 == 3 {
					continue
				}
				shared++
			}
			left--
		}()
	}
	for rounds := uint32(0); left > 0; rounds++ {
		runtime.Gosched()
		if rounds%2 == 0 {
			shared ^= rounds
		}
	}
	return shared
}
