package console

import (
	"errors"
	"net/http"
)

// jobPage sends on to the page of what the job does.
func (c *Console) jobPage(v *visit) error {
	j, err := c.jobOfPath(v)
	if err != nil {
		return err
	}
	return c.see(v, c.path(j), "")
}

func (c *Console) jobOfPath(v *visit) (job, error) {
	id, err := jobID(v, "job")
	if err != nil {
		return job{}, err
	}
	return c.job(v.Context(), id)
}

func (c *Console) stopJob(v *visit) error {
	j, err := c.jobOfPath(v)
	if err != nil {
		return err
	}
	switch {
	case j.Kind == kindChange:
		return httpError{http.StatusConflict, "A change cannot be stopped: it is done whole, or not at all. It can be undone."}
	case j.Status.over() || !c.jobs.stop(j.ID):
		return c.see(v, c.path(j), "It had ended already.")
	}
	if l := c.jobs.get(j.ID); l != nil { // so that the page shows the end
		select {
		case <-l.done:
		case <-v.Context().Done():
		}
	}
	return c.see(v, c.path(j), "")
}

func (c *Console) resumeJob(v *visit) error {
	j, err := c.jobOfPath(v)
	if err != nil {
		return err
	}
	if c.members[j.Member] == nil {
		return httpError{http.StatusConflict, "This mirror is no longer one of the console's."}
	}
	was, err := c.jobs.resume(v.Context(), j.ID)
	switch busy := (errBusy{}); {
	case errors.As(err, &busy):
		return c.see(v, c.path(busy.job), "Another one of this mirror is running.")
	case errors.Is(err, errNotResumable):
		return httpError{http.StatusConflict, "This job cannot be gone on with: start a new one."}
	case err != nil:
		return err
	}
	return c.see(v, c.path(was), "")
}
