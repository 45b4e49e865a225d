package resolverclient_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dnsreg/dnsreg/resolverclient"
)

// connector stands for a database driver that lets its user dial, as pgx (Config.DialFunc) and go-sql-driver/mysql
// (RegisterDialContext) do.
type connector struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	address string
}

func (c connector) Driver() driver.Driver { return nil }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	return session{conn}, nil
}

type session struct{ net.Conn }

func (session) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not in this example") }

func (session) Begin() (driver.Tx, error) { return nil, errors.New("not in this example") }

// The pool of a database dials a service instead of a host. Its connections are renewed, and so follow the service, as
// often as SetConnMaxLifetime says.
func ExampleClient_DialContext() {
	primary, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer primary.Close()
	server, stop := exampleServer(
		"_postgres._tcp.svc.internal. 5 SRV 0 1 1 down.postgres.svc.internal.", // refuses: the next one is tried
		fmt.Sprintf("_postgres._tcp.svc.internal. 5 SRV 10 1 %d up.postgres.svc.internal.", primary.Addr().(*net.TCPAddr).Port),
		"down.postgres.svc.internal. 5 A 127.0.0.1",
		"up.postgres.svc.internal. 5 A 127.0.0.1",
	)
	defer stop()

	client, err := resolverclient.New(resolverclient.Config{Servers: []string{server}, Zone: "svc.internal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	db := sql.OpenDB(connector{dial: client.DialContext, address: "postgres:5432"})
	defer db.Close()
	db.SetConnMaxLifetime(time.Minute)
	fmt.Println(db.PingContext(context.Background()))
	// Output: <nil>
}
