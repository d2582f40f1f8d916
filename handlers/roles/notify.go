package roles

import "context"

// argMessage is what a notification says.
const argMessage = "message"

// notifySlots is how many are said at once.
const notifySlots = 64

// notify tells those who run the program, by a warning in its log, and puts out what it has said.
func notify(_ context.Context, j *job) (map[string]string, error) {
	args, err := j.Args()
	if err != nil {
		return nil, err
	}
	j.Log().Warn(args[argMessage], "workflow", j.Workflow(), "workflow_run", j.RunID())
	return map[string]string{argMessage: args[argMessage]}, nil
}
