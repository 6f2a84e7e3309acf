package mirror

type metadataNames struct{ table, tableColumn, lsnColumn string }
