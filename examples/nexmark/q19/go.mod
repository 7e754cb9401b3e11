module nexmark-q19

go 1.25

require weir v0.0.0

replace weir => ../../../plugins/sdk/go
