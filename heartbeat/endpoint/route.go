package endpoint

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/dnsreg/dnsreg/heartbeat"
	"github.com/dnsreg/dnsreg/store"
)

// call answers one request, or returns the error that problem.go turns into a reply.
type call func(w http.ResponseWriter, r *http.Request) error

// route is one path and the calls of its methods. HEAD is answered where GET is.
type route struct {
	pattern string
	calls   map[string]call
}

func (s *Server) table() []route {
	routes := slices.Concat(zoneRoutes("/v1", s.defaultZone), zoneRoutes("/v1/zones/{zone}", s.zoneOf), []route{
		{livez, map[string]call{http.MethodGet: s.live}},
		{readyz, map[string]call{http.MethodGet: s.ready}},
	})
	if s.cfg.Metrics != nil {
		routes = append(routes, route{"/metrics", map[string]call{http.MethodGet: s.metrics}})
	}
	return routes
}

// zoneRoutes returns the paths below prefix, whose calls are made on the zone that find returns.
func zoneRoutes(prefix string, find func(*http.Request) (*zone, error)) []route {
	on := func(call zoneCall) call {
		return func(w http.ResponseWriter, r *http.Request) error {
			z, err := find(r)
			if err != nil {
				return err
			}
			return call(z, w, r)
		}
	}
	service := prefix + "/services/{service}"
	instance := service + "/instances/{id}"
	return []route{
		{instance, map[string]call{
			http.MethodPut:    on((*zone).register),
			http.MethodPatch:  on(onInstance((*zone).patch)),
			http.MethodDelete: on(onInstance((*zone).deregister)),
			http.MethodGet:    on(reading(onInstance((*zone).instance))),
		}},
		{instance + "/heartbeat", map[string]call{http.MethodPost: on(onInstance((*zone).renew))}},
		{prefix + "/heartbeats", map[string]call{http.MethodPost: on((*zone).renewAll)}},
		{prefix + "/services", map[string]call{http.MethodGet: on(reading((*zone).services))}},
		{service, map[string]call{http.MethodGet: on(reading((*zone).service))}},
	}
}

// onInstance returns a call that knows the instance which its path names, and refuses paths that can name none.
func onInstance(call func(z *zone, w http.ResponseWriter, r *http.Request, service store.Service, id string) error) zoneCall {
	return func(z *zone, w http.ResponseWriter, r *http.Request) error {
		service, err := store.ParseService(r.PathValue("service"))
		if err != nil {
			service = store.Service(r.PathValue("service")) // the check below refuses it
		}
		id := r.PathValue("id")
		if err := store.CheckName(service, id); err != nil {
			return err
		}
		return call(z, w, r, service, id)
	}
}

// routes returns the handler of every path.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, route := range s.table() {
		mux.Handle(route.pattern, s.dispatch(route))
	}
	mux.HandleFunc("/", s.notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, heartbeat.MaxBatchBody)
		reply := &reply{ResponseWriter: w, status: http.StatusOK, route: "other"}
		defer func() { s.counters.requests.add(Request{reply.route, reply.status}) }()
		defer s.survive(reply)
		s.serve(mux, reply, r)
	})
}

// survive answers a call that panicked, unless it had begun to answer or wants it so: then the connection is cut. net/http
// would log it where it logs every client's slip, which nobody reads.
func (s *Server) survive(w *reply) {
	p := recover()
	if p == nil {
		return
	}
	aborted := p == http.ErrAbortHandler
	if !aborted {
		s.log.Error("http call panicked", "panic", p, "stack", string(debug.Stack()))
	}
	if aborted || w.begun {
		panic(http.ErrAbortHandler)
	}
	s.mistaken(w)
}

// serve lets mux answer whoever may ask, but for paths that it would redirect.
func (s *Server) serve(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	if err := cmp.Or(s.checkHost(r), s.authorize(r)); err != nil {
		s.fail(w, err)
		return
	}
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
		s.notFound(w, r)
		return
	}
	mux.ServeHTTP(w, keepDots(r, path))
}

// keepDots escapes the segments "." and ".." of a path, since an id may be written so by mistake: ServeMux would take
// them for directories and redirect, and a redirected PUT becomes a GET.
func keepDots(r *http.Request, path string) *http.Request {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if s == "." || s == ".." {
			segments[i] = strings.ReplaceAll(s, ".", "%2E")
		}
	}
	clone, url := *r, *r.URL
	url.RawPath = strings.Join(segments, "/")
	clone.URL = &url
	return &clone
}

// dispatch answers a route by method.
func (s *Server) dispatch(route route) http.Handler {
	allow := route.allow()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		call, ok := route.calls[method]
		if !ok {
			s.fail(w, &statusError{http.StatusMethodNotAllowed, "this path answers " + allow, "Allow", allow})
			return
		}
		if reply, ok := w.(*reply); ok {
			reply.route = method + " " + route.pattern
		}
		if err := call(w, r); err != nil {
			s.fail(w, err)
		}
	})
}

// allow returns the methods of a route as an Allow header lists them.
func (r route) allow() string {
	methods := slices.Collect(maps.Keys(r.calls))
	if _, ok := r.calls[http.MethodGet]; ok {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, &statusError{status: http.StatusNotFound, detail: fmt.Sprintf("there is nothing at %q", r.URL.Path)})
}

// reply notes what a request was answered with.
type reply struct {
	http.ResponseWriter
	status int
	route  string
	begun  bool
}

// WriteHeader notes the status and passes it on.
func (r *reply) WriteHeader(status int) {
	r.status, r.begun = status, true
	r.ResponseWriter.WriteHeader(status)
}

// Write notes that the reply has begun, and passes the octets on.
func (r *reply) Write(b []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }
