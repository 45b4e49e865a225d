package dnsreggrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dnsreg/dnsreg/resolverclient"
	dnsreggrpc "github.com/dnsreg/dnsreg/resolverclient/grpc"
)

// The service of the tests, written down by hand: who answers, once and for each message of a stream.
const (
	sayMethod  = "/test.Web/Say"
	talkMethod = "/test.Web/Talk"
)

func talkDesc() *grpc.StreamDesc {
	return &grpc.StreamDesc{StreamName: "Talk", ClientStreams: true, ServerStreams: true, Handler: talk}
}

func webDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Web",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
		Streams:     []grpc.StreamDesc{*talkDesc()},
	}
}

func say(srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	a := srv.(*app)
	if err := decode(new(wrapperspb.StringValue)); err != nil {
		return nil, err
	}
	return wrapperspb.String(a.id), a.begin()
}

func talk(srv any, stream grpc.ServerStream) error {
	a := srv.(*app)
	if err := a.begin(); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := stream.SendMsg(wrapperspb.String(a.id)); err != nil {
			return err
		}
	}
}

// app is one instance: a gRPC server on a free port.
type app struct {
	id     string
	addr   netip.AddrPort
	server *grpc.Server
	fail   atomic.Pointer[error] // what calls end with
	calls  atomic.Int64
	last   atomic.Int64 // when the last call began, in ns of Unix time
	ended  sync.WaitGroup
}

func newApp(tb testing.TB, id string) *app {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	a := &app{id: id, addr: l.Addr().(*net.TCPAddr).AddrPort(), server: grpc.NewServer()}
	a.server.RegisterService(webDesc(), a)
	a.ended.Go(func() {
		if err := a.server.Serve(l); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		a.server.Stop()
		a.ended.Wait()
	})
	return a
}

func newApps(tb testing.TB, n int) []*app {
	tb.Helper()
	apps := make([]*app, n)
	for i := range apps {
		apps[i] = newApp(tb, fmt.Sprintf("web-%d", i+1))
	}
	return apps
}

// begin counts a call.
func (a *app) begin() error {
	a.last.Store(time.Now().UnixNano())
	a.calls.Add(1)
	if err := a.fail.Load(); err != nil {
		return *err
	}
	return nil
}

// dial returns a connection to web that is closed when the test ends, before the client.
func dial(tb testing.TB, c *resolverclient.Client, opts ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	conn, err := grpc.NewClient("dnsreg:///web", append([]grpc.DialOption{
		grpc.WithResolvers(&dnsreggrpc.Builder{Client: c}),
		grpc.WithDefaultServiceConfig(dnsreggrpc.ServiceConfig),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
	}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

// callOnce makes a unary call and returns who answered.
func callOnce(ctx context.Context, conn *grpc.ClientConn, opts ...grpc.CallOption) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	reply := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, sayMethod, wrapperspb.String("who"), reply, opts...)
	return reply.GetValue(), err
}

// open begins a stream.
func open(ctx context.Context, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	return conn.NewStream(ctx, talkDesc(), talkMethod)
}

// ask sends a message on a stream and returns who answered.
func ask(s grpc.ClientStream) (string, error) {
	if err := s.SendMsg(wrapperspb.String("who")); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	reply := new(wrapperspb.StringValue)
	err := s.RecvMsg(reply)
	return reply.GetValue(), err
}

// converse makes a stream of some messages, which one instance must answer.
func converse(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s, err := open(ctx, conn)
	if err != nil {
		return "", err
	}
	who := ""
	for n := range 5 {
		id, err := ask(s)
		if err != nil {
			return "", fmt.Errorf("message %d of a stream: %w", n, err)
		}
		if n > 0 && id != who {
			return "", fmt.Errorf("message %d of a stream of %s: answered by %s", n, who, id)
		}
		who = id
	}
	if err := s.CloseSend(); err != nil {
		return "", err
	}
	if err := s.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("end of a stream: %w", err)
	}
	return who, nil
}
