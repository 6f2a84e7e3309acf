package console

func (c *Console) waitingPage(v *visit) error          { return errNotFound }
func (c *Console) startWaiting(v *visit) error         { return errNotFound }
func (c *Console) validationPage(v *visit) error       { return errNotFound }
func (c *Console) startValidation(v *visit) error      { return errNotFound }
func (c *Console) validationReportPage(v *visit) error { return errNotFound }
func (c *Console) validationHTML(v *visit) error       { return errNotFound }
func (c *Console) validationJSON(v *visit) error       { return errNotFound }
