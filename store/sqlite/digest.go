package sqlite

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	driversqlite "modernc.org/sqlite"

	"github.com/so-mirror/mirror/store"
	"github.com/so-mirror/mirror/store/sqlstore"
)

// The functions that digests call in SQL, beside those that order keys.
const (
	hashFunction = "so_mirror_hash"
	sumFunction  = "so_mirror_sum"
)

// The driver keeps one list of functions for all of its connections, and gives
// them to those that are opened later. Only when the package is initialised is
// it sure that no connection of this program is open yet.
var _ = func() struct{} {
	driversqlite.MustRegisterFunction(hashFunction, &driversqlite.FunctionImpl{
		NArgs: -1, Deterministic: true, VolatileArgs: true, Scalar: hashRow,
	})
	driversqlite.MustRegisterFunction(keyFunction, &driversqlite.FunctionImpl{
		NArgs: 2, Deterministic: true, VolatileArgs: true, Scalar: keyOf,
	})
	driversqlite.MustRegisterFunction(spelledFunction, &driversqlite.FunctionImpl{
		NArgs: 2, Deterministic: true, VolatileArgs: true, Scalar: spelled,
	})
	driversqlite.MustRegisterFunction(sumFunction, &driversqlite.FunctionImpl{
		NArgs: 1, Deterministic: true,
		MakeAggregate: func(driversqlite.FunctionContext) (driversqlite.AggregateFunction, error) { return &rowSum{}, nil },
	})
	return struct{}{}
}()

// maxArgs is how many arguments SQLite allows a function, less the one that
// names the kinds.
const maxArgs = 1000 - 1

func (f *file) digests() *sqlstore.Digests {
	return &sqlstore.Digests{
		Scheme: "sqlite-sha256-2",
		Hash:   f.hashExpr,
		Ranked: true,
		// Next to one MIN a column alone is that of the row with the minimum:
		// https://www.sqlite.org/lang_select.html#bareagg.
		First: func(_ store.Type, _, column string) string { return column },
		Total: func(hash string) string {
			if hash == "" {
				return "CAST(COUNT(*) AS TEXT)"
			}
			return fmt.Sprintf("COUNT(*) || ' ' || %s(%s)", sumFunction, hash)
		},
	}
}

// hashExpr hashes the values of a row, however they are spelled.
func (f *file) hashExpr(cols []store.Column, names []string) (string, error) {
	if len(cols) > maxArgs {
		return "", fmt.Errorf("%d columns, and SQLite hashes at most %d: %w", len(cols), maxArgs, errors.ErrUnsupported)
	}
	kinds := make([]byte, len(cols))
	for i, c := range cols {
		kind := c.Type.Kind()
		if kind == store.KindOther {
			return "", fmt.Errorf("column %s: values of type %s have no digest: %w", c.Name, c.Type, errors.ErrUnsupported)
		}
		kinds[i] = letter(kind)
	}
	return f.call(hashFunction, string(kinds), names...), nil
}

// hashRow hashes the values behind the first argument, which has a letter for
// the kind of each: 1 as bit is not 1 as int. See [file.call].
func hashRow(_ *driversqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	kinds, ok := args[0].(string)
	wide, kinds := cutWide(kinds)
	if !ok || len(kinds) != len(args)-1 {
		return nil, errors.New("hash a row: one letter for each value")
	}
	var array [512]byte
	buf := array[:0]
	for i, v := range args[1:] {
		if wide != 0 {
			v = wide.stored(v)
		}
		var err error
		if buf, err = appendValue(append(buf, kinds[i]), kindOf(kinds[i]), v); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(buf)
	return int64(binary.LittleEndian.Uint64(sum[:])), nil
}

// rowSum adds hashes up modulo 2^64.
type rowSum struct {
	rows bool
	sum  uint64
}

func (s *rowSum) Step(_ *driversqlite.FunctionContext, args []driver.Value) error {
	h, ok := args[0].(int64)
	if !ok {
		return fmt.Errorf("add a hash: Go type %T", args[0])
	}
	s.rows = true
	s.sum += uint64(h)
	return nil
}

func (s *rowSum) WindowInverse(*driversqlite.FunctionContext, []driver.Value) error {
	return errors.New("not a window function")
}

func (s *rowSum) WindowValue(*driversqlite.FunctionContext) (driver.Value, error) {
	if !s.rows {
		return nil, nil
	}
	return strconv.FormatUint(s.sum, 16), nil
}

func (s *rowSum) Final(*driversqlite.FunctionContext) {}
