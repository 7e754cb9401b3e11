// Third in the chain: a booking becomes two postings, one for each account that it moves.
package main

import "weir"

type booking struct {
	ID       string `json:"id"`
	User     string `json:"user"`
	Order    string `json:"order"`
	Currency string `json:"currency"`
	Cents    int64  `json:"cents"`
}

type posting struct {
	booking
	Account string `json:"account"`
}

func process(message *weir.Message) ([]weir.Output, error) {
	var earned booking
	if err := message.JSON(&earned); err != nil {
		return nil, err
	}
	paid := earned
	paid.Cents = -paid.Cents
	debit := posting{booking: paid, Account: "marketing budget"}
	credit := posting{booking: earned, Account: earned.User}
	return weir.Emit(weir.JSON(debit), weir.JSON(credit)), nil
}

func init() {
	weir.Export(func(struct{}) (weir.ProcessFunc, error) { return process, nil })
}

func main() {}
