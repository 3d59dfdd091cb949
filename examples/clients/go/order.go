// An Order rebuilt from its events, and commands that try again when somebody was faster.
//
//	go run event.go eventstore.go order.go http://127.0.0.1:8080
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
)

type Order struct {
	Version, Total, Paid int
	Status               string
}

func newOrder(events []Event) Order {
	order := Order{Version: NoStream, Status: "none"}
	for _, event := range events {
		var data struct{ Total, Amount int }
		_ = json.Unmarshal(event.Data, &data)
		switch event.Type {
		case "order.created":
			order.Status, order.Total = "open", data.Total
		case "order.paid":
			order.Paid += data.Amount
		case "order.shipped":
			order.Status = "shipped"
		}
		order.Version = event.Version
	}
	return order
}

func newEvent(kind, data string) []Event {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return []Event{{ID: fmt.Sprintf("%x", id), Type: kind, Data: json.RawMessage(data)}}
}

func (o Order) pay(amount int) ([]Event, error) {
	if o.Paid+amount > o.Total {
		return nil, errors.New("paid too much")
	}
	return newEvent("order.paid", fmt.Sprintf(`{"amount":%d}`, amount)), nil
}

func (o Order) ship() ([]Event, error) {
	if o.Status != "open" || o.Paid < o.Total {
		return nil, errors.New("not paid")
	}
	return newEvent("order.shipped", "{}"), nil
}

var (
	store     EventStore
	stream    = "order-go-" + newEvent("", "")[0].ID
	conflicts int32
	failed    bool
)

func load() (Order, error) {
	events, err := store.ReadEvents(stream, 0)
	return newOrder(events), err
}

func handle(decide func(Order) ([]Event, error)) (int, error) {
	for {
		order, err := load()
		if err != nil {
			return 0, err
		}
		events, err := decide(order)
		if err != nil {
			return 0, err
		}
		version, err := store.AppendEvents(stream, events, order.Version)
		if !errors.As(err, &Conflict{}) {
			return version, err
		}
		atomic.AddInt32(&conflicts, 1)
	}
}

func check(holds bool, claim string) {
	if holds {
		fmt.Println("ok - " + claim)
	} else {
		fmt.Println("not ok - " + claim)
		failed = true
	}
}

func main() {
	store.URL = "http://127.0.0.1:8080"
	if len(os.Args) > 1 {
		store.URL = os.Args[1]
	}
	version, err := store.AppendEvents(stream, newEvent("order.created", `{"total":50}`), NoStream)
	check(version == 0 && err == nil, "the first event has version 0")
	_, err = store.AppendEvents(stream, newEvent("order.created", `{"total":50}`), NoStream)
	var conflict Conflict
	check(errors.As(err, &conflict) && conflict.Actual != nil && *conflict.Actual == 0,
		"a second creation is a conflict, at 0")
	_, err = handle(Order.ship)
	check(err != nil && err.Error() == "not paid", "unpaid is not shipped")
	var race sync.WaitGroup
	for i := 0; i < 5; i++ {
		race.Add(1)
		go func() {
			defer race.Done()
			_, _ = handle(func(order Order) ([]Event, error) { return order.pay(10) })
		}()
	}
	race.Wait()
	order, err := load()
	check(order.Paid == 50 && err == nil,
		fmt.Sprintf("five racing payments are all there, after %d conflicts", conflicts))
	version, err = handle(Order.ship)
	check(version == 6 && err == nil, "paid is shipped, at version 6")
	order, err = load()
	check(order.Status == "shipped" && order.Version == 6 && err == nil,
		"the order is rebuilt from its events")
	var mine []int
	for from, next := "", "0"; next != from && err == nil; {
		var events []Event
		from = next
		events, next, err = store.ReadAllEvents(from, 1000)
		for _, event := range events {
			if event.Stream == stream {
				mine = append(mine, event.Version)
			}
		}
	}
	check(err == nil && reflect.DeepEqual(mine, []int{0, 1, 2, 3, 4, 5, 6}),
		"all events have them in order")
	if failed {
		os.Exit(1)
	}
}
