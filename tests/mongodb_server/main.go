// A server that speaks MongoDB's wire protocol, for the tests: FerretDB with its SQLite backend.
//
// It keeps its documents in the folder it is given, listens on a free port of the loopback interface, writes
// its address as one line, and ends when its standard input does: it does not outlive who started it.
//
// FerretDB's own command cannot be had by `go install`: its module lacks the version file that the command
// insists on. The embeddable package is its public interface and does without.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	folder := strings.TrimSuffix(os.Args[1], "/") + "/"
	address := "127.0.0.1:0"
	if len(os.Args) > 2 {
		address = os.Args[2]
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: address},
		Handler:   "sqlite",
		SQLiteURL: "file:" + folder,
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	go fmt.Println(server.MongoDBURI())
	_ = server.Run(ctx)
}
