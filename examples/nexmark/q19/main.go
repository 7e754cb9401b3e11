// Command nexmark-q19 is query 19 of NEXMark: the ten highest bids of each auction, with their rank.
//
// The key of the pipeline is the auction. A bid that is among the ten highest is a result, and so is each of the ten
// whose rank it changes. A result takes the place of the one before of that auction and rank.
package main

import (
	"cmp"
	"slices"

	"weir"
	"weir/state"
	"weir/timers"
)

// How many bids of an auction have a rank.
const ranks = 10

// Bid is what comes in and what is kept.
type Bid struct {
	Auction  uint64 `json:"auction"`
	Bidder   uint64 `json:"bidder"`
	Price    uint64 `json:"price"`
	Channel  string `json:"channel"`
	URL      string `json:"url"`
	DateTime string `json:"date_time"`
	Extra    string `json:"extra"`
}

// Ranked is what goes out.
type Ranked struct {
	Bid
	Rank int `json:"rank"`
}

// The bids with a rank, the highest first.
var top = state.New[[]Bid]("top")

// The higher bid comes first; of the same price the earlier one, and then the one with the lesser extra. Times of this
// stream are text of one form, which is in the order of the times.
func compare(one, other Bid) int {
	return cmp.Or(
		cmp.Compare(other.Price, one.Price),
		cmp.Compare(one.DateTime, other.DateTime),
		cmp.Compare(one.Extra, other.Extra),
	)
}

type plugin struct{}

func configure(struct{}) (plugin, error) { return plugin{}, nil }

// Process is called for each bid.
func (plugin) Process(message *weir.Message) ([]weir.Output, error) {
	var bid Bid
	if err := message.JSON(&bid); err != nil {
		return nil, err
	}
	bids, _, err := top.Get(message.StateKey())
	if err != nil {
		return nil, err
	}
	place, _ := slices.BinarySearchFunc(bids, bid, compare)
	if place == ranks {
		return weir.Drop(), nil
	}
	bids = slices.Insert(bids, place, bid)
	bids = bids[:min(len(bids), ranks)]
	if err := top.Set(message.StateKey(), bids); err != nil {
		return nil, err
	}
	var outputs []weir.Output
	for index, bid := range bids[place:] {
		outputs = append(outputs, weir.JSON(Ranked{bid, place + index + 1}))
	}
	return outputs, nil
}

// OnTimer is never called: no timer is set.
func (plugin) OnTimer(*timers.Timer) ([]weir.Output, error) { return weir.Drop(), nil }

func init() { weir.Export(configure) }

func main() {} // never called
