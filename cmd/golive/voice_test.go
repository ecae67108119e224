package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestVoice writes far more than a stream takes: nothing waits for it, and what was dropped is owned up to.
func TestVoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		v := speak(out)
		begin := time.Now()
		for n := range 3 * voiceHolds {
			fmt.Fprintf(v, "line %d\n", n)
		}
		v.flush()
		if took := time.Since(begin); took != voiceCloses {
			t.Errorf("a stream that does not move held golive up for %v, want %v", took, voiceCloses)
		}
		var text bytes.Buffer
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			io.Copy(&text, in)
		}()
		synctest.Wait()
		fmt.Fprintln(v, "the end")
		v.close()
		out.Close()
		<-reading
		for _, want := range []string{"line 0\n", fmt.Sprintf("line %d\n", voiceHolds-1), "pieces of the story are missing here", "the end\n"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the stream has no %q", want)
			}
		}
	})
}
