module github.com/so-mirror/mirror

go 1.26.0
