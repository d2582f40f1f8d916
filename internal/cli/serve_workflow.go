package cli

import (
	"cmp"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/secret"
)

// workflowFlags are about what tasks of workflows may do.
func (s *serving) workflowFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.secrets, "secrets", "", "file of NAME=value lines, or directory with a file for each, of secrets: those that definitions of workflows\nname, $TMDB_API_KEY and $"+app.SealVariable+"; those of the environment come first (default $"+envSecrets+")")
	cmd.Flags().BoolVar(&s.commands, "allow-commands", false, "let tasks of workflows run commands, as this server's user: whoever may apply a definition can then do\nall that this user can (default $"+envCommands+")")
}

// workflows reads what these flags and the environment say.
func (s *serving) workflows(o *app.Options) (err error) {
	allowed, _ := strconv.ParseBool(os.Getenv(envCommands)) // anything else is no
	o.Commands = s.commands || allowed
	o.Secrets, err = secret.Open(cmp.Or(s.secrets, os.Getenv(envSecrets)), readEnv)
	return err
}
