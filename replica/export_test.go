package replica

import "github.com/so-mirror/mirror/store"

var (
	IsOffset   = isOffset
	ResyncBody = resyncBody
)

// IsRead reports whether a column of the state of that name and type is read.
func IsRead(name, typ string) bool {
	return isOffsetColumn(store.Column{Name: name, Type: store.MustType(typ)})
}
