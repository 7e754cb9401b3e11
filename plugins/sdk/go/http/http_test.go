package http

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestARequestIsAnsweredByAServerOfTheTest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/never" {
			<-request.Context().Done()
			return
		}
		body, _ := io.ReadAll(request.Body)
		writer.Header().Set("X-Key", request.Header.Get("Idempotency-Key"))
		writer.WriteHeader(http.StatusTeapot)
		_, _ = writer.Write(append([]byte(request.Method+" "), body...))
	}))
	defer server.Close()
	request := Request{Method: "POST", URL: server.URL, Body: []byte(`{"a":1}`)}
	request.Headers = []Header{{"idempotency-key", "7"}}
	response, err := request.Send()
	if err != nil {
		t.Fatal(err)
	}
	key, _ := response.Header("x-key")
	if text := string(response.Body); response.Status != 418 || key != "7" || text != `POST {"a":1}` {
		t.Error(response.Status, key, text)
	}
	late := Request{URL: server.URL + "/never", Timeout: time.Millisecond}
	if _, err := late.Send(); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
}

func TestAnAddressIsTakenApart(t *testing.T) {
	for url, wanted := range map[string]address{
		"http://a.b:80/c?d#e": {false, "http://a.b:80", "a.b:80", "/c?d"},
		"HTTPS://a?d/e":       {true, "HTTPS://a", "a", "/?d/e"},
		"https://a":           {true, "https://a", "a", "/"},
	} {
		if found, err := parse(url); err != nil || found != wanted {
			t.Error(url, found, err)
		}
	}
	for _, url := range []string{"", "a.b/c", "ftp://a", "http:/a"} {
		if _, err := parse(url); err == nil {
			t.Error(url)
		}
	}
}
