package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// watch refuses appends while the topics are not what they have to be: with other settings or another
// number of partitions, what is acknowledged could be lost or stand where no reader looks.
func (l *Log) watch() {
	for {
		timer := time.NewTimer(l.opts.watchEvery)
		select {
		case <-timer.C:
		case <-l.ops.Ending():
			timer.Stop()
			return
		}
		changed, err := l.lookAtTopics()
		if err != nil {
			continue // the brokers do not answer: appends find that out themselves
		}
		was := l.unfit.Swap(changed)
		switch {
		case changed != nil && was == nil:
			l.opts.Logf("%v", changed)
		case changed == nil && was != nil:
			l.opts.Logf("the topics are as they have to be again: the log takes appends")
		}
	}
}

// lookAtTopics says what is wrong with the topics, nil for nothing. The error is that it cannot be known.
func (l *Log) lookAtTopics() (*fault.Error, error) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	admin, err := sarama.NewClusterAdminFromClient(l.client) // never closed: it would take the client along
	if err != nil {
		return nil, err
	}
	names := l.opts.topicNames()
	meta, err := metadata(l.client, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if m := topicOf(meta, name); m == nil || m.Err != sarama.ErrNoError {
			return nil, sarama.ErrUnknownTopicOrPartition // as deleted: reads will say so
		}
	}
	found, err := l.describe(ctx, admin, meta)
	if err != nil {
		return nil, err
	}
	for i, t := range streams.Topics {
		err := checkTopic(names[i], t, found[names[i]], brokersTime)
		if err == nil {
			continue
		}
		var cause *fault.Error // the first of them
		if !errors.As(errors.Unwrap(err), &cause) {
			cause = &fault.Error{Message: err.Error()}
		}
		return fault.New(fault.Unavailable, "the log takes nothing more: %s", cause.Message).WithHint("%s", cause.Hint), nil
	}
	return nil, nil
}

// Damaged is nil until damage was met in this node's index of the ledger; then the error, which is fault.Corrupt, names
// the file.
func (l *Log) Damaged() error {
	if what := l.index.met.String(); what != "" {
		return fault.New(fault.Corrupt, "the ledger's index in %s is damaged: %s", l.index.dir, what).WithHint(hintDelete)
	}
	return nil
}

// Writable is nil while the log takes appends; else it says why not.
func (l *Log) Writable() error {
	if err := l.failure(); err != nil {
		return err
	}
	return l.writable()
}
