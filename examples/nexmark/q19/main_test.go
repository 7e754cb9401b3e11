package main

import (
	"fmt"
	"testing"

	"weir"
	"weir/weirtest"
)

// The ranks that become others by a bid of this price in this second, each with the price of its bid.
func changed(t *testing.T, second, price int) (all string) {
	t.Helper()
	auction := "1000"
	payload := fmt.Sprintf(`{"auction":1000,"price":%d,"date_time":"2015-07-15T00:00:%02d.000Z"}`, price, second)
	outputs, err := plugin{}.Process(&weir.Message{Key: &auction, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	for _, output := range outputs {
		var ranked Ranked
		if err := (&weir.Message{Payload: output.Payload}).JSON(&ranked); err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintf("%d:%d ", ranked.Rank, ranked.Price)
	}
	return all
}

func TestABidChangesItsRankAndThoseBehindIt(t *testing.T) {
	weirtest.ClearState()
	for second, step := range []struct {
		price int
		want  string
	}{
		{50, "1:50 "},
		{70, "1:70 2:50 "},
		{60, "2:60 3:50 "},
		{60, "3:60 4:50 "},
		{40, "5:40 "},
	} {
		if got := changed(t, second, step.price); got != step.want {
			t.Errorf("%d changes %q, not %q", step.price, got, step.want)
		}
	}
}

func TestOnlyTenBidsHaveARank(t *testing.T) {
	weirtest.ClearState()
	for price := 20; price > 10; price-- {
		changed(t, 0, price)
	}
	if got := changed(t, 1, 10); got != "" {
		t.Errorf("the eleventh changes %q", got)
	}
	if got := changed(t, 1, 12); got != "10:12 " {
		t.Errorf("the tenth changes %q", got)
	}
}
