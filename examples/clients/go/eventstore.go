package main // the classic EventStore interface on Mainstem, with nothing but net/http

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

type EventStore struct{ URL string }

func (s EventStore) send(method, path string, body []byte, header http.Header, to any) (string, error) {
	request, err := http.NewRequest(method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	from := json.NewDecoder(answer.Body)
	if conflict := (Conflict{}); answer.StatusCode == 412 && from.Decode(&conflict) == nil {
		return "", conflict
	} else if answer.StatusCode == 404 {
		return "", nil
	} else if answer.StatusCode >= 300 {
		return "", fmt.Errorf("%s: %s", path, answer.Status)
	}
	return answer.Header.Get("Mainstem-Next"), from.Decode(to)
}

func (s EventStore) AppendEvents(stream string, events []Event, expected int) (int, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	if expected == NoStream {
		header.Set("If-None-Match", "*")
	} else if expected != Any {
		header.Set("If-Match", fmt.Sprintf(`"%d"`, expected))
	}
	body, _ := json.Marshal(events)
	var answer struct{ Version int }
	_, err := s.send("POST", "/v1/streams/"+url.PathEscape(stream), body, header, &answer)
	return answer.Version, err
}

func (s EventStore) ReadEvents(stream string, from int) (found []Event, err error) {
	for next, page := fmt.Sprint(from), []Event{{}}; len(page) > 0 && err == nil; {
		page = nil
		next, err = s.send("GET", "/v1/streams/"+url.PathEscape(stream)+"?from="+next, nil, nil, &page)
		found = append(found, page...)
	}
	return found, err
}

func (s EventStore) ReadAllEvents(from string, max int) (events []Event, next string, err error) {
	next, err = s.send("GET", fmt.Sprintf("/v1/events?from=%s&limit=%d", from, max), nil, nil, &events)
	return events, next, err
}
