// Package mirror keeps database mirrors of SuperOffice CRM Online honest.
package mirror
