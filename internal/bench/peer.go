package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// peer is other people's software in a process of its own. It is asked in lines of JSON, and answers so.
type peer struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	name   string // with its version
}

// startPeer starts a peer and asks for its version.
func startPeer(cmd *exec.Cmd, name string) (*peer, error) {
	p := &peer{cmd: cmd}
	cmd.Stderr = &p.stderr
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var v struct {
		Version string `json:"version"`
	}
	if err := p.call(map[string]any{"do": "version"}, &v); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.name = name + " " + v.Version
	return p, nil
}

// call asks the peer for something.
func (p *peer) call(request map[string]any, answer any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("the peer has ended: %w: %s", err, p.stderr.String())
	}
	if line, err = p.out.ReadBytes('\n'); err != nil {
		return fmt.Errorf("the peer has ended: %w: %s", errors.Join(err, p.cmd.Wait()), p.stderr.String())
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &failed); err != nil {
		return err
	}
	if failed.Error != "" {
		return fmt.Errorf("the peer: %s", failed.Error)
	}
	return json.Unmarshal(line, answer)
}

func (p *peer) close() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}
